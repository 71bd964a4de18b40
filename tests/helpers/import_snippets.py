"""Snippets of every kind that matters to a check, behind a header that they share; and modules for them to import."""

from __future__ import annotations

import random

from lean_files import CRASH, HEADER, code_at_elaboration

BODIES = {
    "nothing": "",
    "theorem": "\ntheorem t (p q : Prop) (h : And p q) : p := h.left\n",
    "ill typed": "\ntheorem t (p q : Prop) (h : And p q) : p := h.right\n#check t\n",
    "ill formed": "\ntheorem t := (\n",
    "sorry": "\ntheorem t (p : Prop) : p := sorry\n",
    "unicode": "\n-- ∀ 𝔸 é\ntheorem «τ ω» (α : Prop) (h : α) : α := h; #check «τ ω» #check (nö : Nat)\n",
    "no newline": "\n#check Nat",
    "carriage returns": "\r\n#check Nat\r\ntheorem t : True := False\r\n",
    "option in the file": "\nset_option pp.all true\n#check fun (x : Nat) => Nat.succ x\n",
    "unknown option": "\nset_option no.such.option true\n#check Nat\n",
    "heartbeats": "\nset_option maxHeartbeats 1\ntheorem t (p q : Prop) (h : And p q) : And q p := And.intro h.right h.left\n",
    "trace": "\nset_option trace.Meta.synthInstance true\nset_option trace.Elab.definition true\ndef f (n : Nat) : Nat := n\n",
    "late import": "\n#check Nat\nimport LeanWorker.Prelude\n",
    "comment": "\n/- no end\n#check Nat\n",
    "macro": "\nmacro_rules | `($x) => `($x)\n#check 1\n",
    "axioms": "\naxiom a : False\ntheorem t : False := a\n#print axioms t\n#print t\n",
    "namespace": "\nnamespace A\ndef x : Nat := 1\nend A\n#check A.x\nopen A\n#check x\nend B\n",
    "many": "\n" + "".join(f"def d{i} (n : Nat) : Nat := Nat.add n {i}\n#check d{i}\n" for i in range(20)),
    "deep": "\ndef d : Nat := " + "(" * 300 + "1" + ")" * 300 + "\n#check d\n",
    "exit 96": code_at_elaboration("IO.Process.exit 96")[len(HEADER) - 1 :],
    "exit 97": code_at_elaboration("IO.Process.exit 97")[len(HEADER) - 1 :],
    "crash": CRASH[len(HEADER) - 1 :],
}

OTHER_HEADERS = (
    "prelude\n",
    "prelude\nimport No.Such\n",
    "import LeanWorker.Prelude\n",
    "-- a comment\nprelude\nimport LeanWorker.Prelude\n",
    "module\nprelude\nimport LeanWorker.Prelude\n",
    "prelude\nimport LeanWorker.Prelude\nimport LeanWorker.Prelude\n",
    "prelude\nimport  LeanWorker.Prelude -- same\n",
)


def corpus(header: str = HEADER) -> list[tuple[str, str]]:
    """Each body behind a header, as pairs of a name and a text."""
    return [(name, header.rstrip("\n") + body) for name, body in BODIES.items()]


def with_other_headers() -> list[tuple[str, str]]:
    """The good and the ill-typed body behind other headers, twice each, so that a holder is wanted for them."""
    names = ("theorem", "ill typed")
    return [
        (f"{number}.{turn} {name}", header.rstrip("\n") + BODIES[name])
        for number, header in enumerate(OTHER_HEADERS)
        for turn in (1, 2)
        for name in names
    ]


def shuffled(files: list[tuple[str, str]], seed: int) -> list[tuple[str, str]]:
    """The files in a random order."""
    found = list(files)
    random.Random(seed).shuffle(found)
    return found
