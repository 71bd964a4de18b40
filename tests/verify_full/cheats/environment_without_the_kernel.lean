-- A declaration that is put into the environment without the kernel.
import Lean
open Lean Elab Command
@[extern "lean_kernel_environment_add"] opaque putIn (env : Kernel.Environment) (info : ConstantInfo) : Kernel.Environment := env
run_cmd do
  let info : ConstantInfo := .thmInfo
    { name := `goal, levelParams := [], type := mkConst ``False, value := mkConst ``True.intro }
  modifyEnv fun env => Environment.ofKernelEnv (putIn env.toKernelEnv info)
