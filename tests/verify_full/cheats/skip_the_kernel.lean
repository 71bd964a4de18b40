-- A wrong proof, added while `debug.skipKernelTC` is set.
import Lean
open Lean Elab Command
set_option debug.skipKernelTC true
run_cmd liftCoreM <| addDecl <| .thmDecl
  { name := `goal, levelParams := [], type := mkConst ``False, value := mkConst ``True.intro }
