"""Candidate proofs of one statement: which of them Lean accepts, and what it says of the others."""

import lean_worker as lw

STATEMENT = "theorem swap (p q : Prop) (h : And p q) : And q p"
CANDIDATES = {
    "constructor": "And.intro h.right h.left",
    "the same way round": "h",
    "unfinished": "sorry",
    "by cases": "match h with | And.intro a b => And.intro b a",
}


def main() -> None:
    # With a full toolchain no prelude is needed: the header is what the proofs import.
    header = "prelude\nimport LeanWorker.Prelude\n"
    files = [(name, f"{header}{STATEMENT} :=\n  {proof}\n") for name, proof in CANDIDATES.items()]
    for checked in lw.check(files, toolchain="embedded", timeout=60, reject_sorry=True, in_order=True):
        print(f"{checked.verdict.value}: {checked.file}")
        for message in checked.messages:
            print(f"    {message.position.line}:{message.position.column} {message.data.splitlines()[0]}")


main()
