module

prelude
public import LeanWorker.Prelude.Actions
/-! The few core constants that Lean's elaborator and compiler look up by name: logic, numbers, lists, texts, monads and
actions, without notation. LeanWorker.Library adds the rest of what a script uses, and `import LeanWorker` imports it. -/
