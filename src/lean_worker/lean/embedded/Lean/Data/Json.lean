module

prelude
public import LeanWorker.Library
/-! The module in which the full library has JSON, so that one text imports it on both. -/
