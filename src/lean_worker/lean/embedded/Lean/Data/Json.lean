module

prelude
public import LeanWorker.Prelude
/-! The module in which the full library has JSON, so that one text imports it on both. -/
