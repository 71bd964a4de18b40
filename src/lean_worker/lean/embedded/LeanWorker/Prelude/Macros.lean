module

prelude
public import LeanWorker.Prelude.JsonValues
/-! What quotations, `notation` and `macro` expand to. -/

@[expose] public section

set_option linter.all false
set_option autoImplicit true

universe u v w

@[inline] def Array.mkArray0 {α : Type u} : Array α := #[]
@[inline] def Array.mkArray1 {α : Type u} (a0 : α) : Array α := #[a0]
@[inline] def Array.mkArray2 {α : Type u} (a0 a1 : α) : Array α := #[a0, a1]
@[inline] def Array.mkArray3 {α : Type u} (a0 a1 a2 : α) : Array α := #[a0, a1, a2]
@[inline] def Array.mkArray4 {α : Type u} (a0 a1 a2 a3 : α) : Array α := #[a0, a1, a2, a3]
@[inline] def Array.mkArray5 {α : Type u} (a0 a1 a2 a3 a4 : α) : Array α := #[a0, a1, a2, a3, a4]
@[inline] def Array.mkArray6 {α : Type u} (a0 a1 a2 a3 a4 a5 : α) : Array α := #[a0, a1, a2, a3, a4, a5]
@[inline] def Array.mkArray7 {α : Type u} (a0 a1 a2 a3 a4 a5 a6 : α) : Array α := #[a0, a1, a2, a3, a4, a5, a6]
@[inline] def Array.mkArray8 {α : Type u} (a0 a1 a2 a3 a4 a5 a6 a7 : α) : Array α := #[a0, a1, a2, a3, a4, a5, a6, a7]
@[inline] unsafe def unsafeCast {α : Sort u} {β : Sort v} (a : α) : β :=
  PLift.down (ULift.down.{max u v} (cast lcProof (ULift.up.{max u v} (PLift.up a))))
namespace Lean
instance _root_.LeanWorker.Prelude.coeNameKinds : Coe Name SyntaxNodeKinds := ⟨fun k => List.cons k List.nil⟩
abbrev Term := TSyntax `term
abbrev Command := TSyntax `command
namespace Syntax
protected abbrev Level := TSyntax `level
protected abbrev Tactic := TSyntax `tactic
abbrev Prec := TSyntax `prec
abbrev Prio := TSyntax `prio
abbrev Ident := TSyntax identKind
abbrev StrLit := TSyntax strLitKind
abbrev CharLit := TSyntax charLitKind
abbrev NameLit := TSyntax nameLitKind
abbrev ScientificLit := TSyntax scientificLitKind
abbrev NumLit := TSyntax numLitKind
abbrev HygieneInfo := TSyntax hygieneInfoKind
end Syntax
export Syntax (Prec Prio Ident StrLit CharLit NameLit ScientificLit NumLit HygieneInfo)

instance TSyntax.coeRaw : CoeHead (TSyntax ks) Syntax := ⟨TSyntax.raw⟩
instance TSyntax.coeSubset {k : Name} {ks : List Name} : CoeTail (TSyntax k) (TSyntax (k :: ks)) := ⟨fun stx => ⟨stx.raw⟩⟩
instance TSyntax.coeSuper {k' : Name} {k : Name} {ks : List Name} [CoeTail (TSyntax k) (TSyntax ks)] :
    CoeTail (TSyntax k) (TSyntax (k' :: ks)) := ⟨fun stx => ⟨stx.raw⟩⟩
instance Compat.coeIdentTerm : Coe Ident Term := ⟨fun s => ⟨s.raw⟩⟩
-- A macro's `theorem $name …` takes an identifier where the parser has a name with universes.
instance Compat.coeIdentDeclId : Coe Ident (TSyntax `Lean.Parser.Command.declId) :=
  ⟨fun s => ⟨.node .none `Lean.Parser.Command.declId #[s.raw, .node .none `null #[]]⟩⟩
instance Compat.coeNumTerm : Coe NumLit Term := ⟨fun s => ⟨s.raw⟩⟩
instance Compat.coeStrTerm : Coe StrLit Term := ⟨fun s => ⟨s.raw⟩⟩
instance Compat.coeCharTerm : Coe CharLit Term := ⟨fun s => ⟨s.raw⟩⟩
instance Compat.coeScientificTerm : Coe ScientificLit Term := ⟨fun s => ⟨s.raw⟩⟩
instance Compat.coeNameTerm : Coe NameLit Term := ⟨fun s => ⟨s.raw⟩⟩
instance Compat.coeIdentLevel : Coe Ident Syntax.Level := ⟨fun s => ⟨s.raw⟩⟩
instance Compat.coeNumPrec : Coe NumLit Prec := ⟨fun s => ⟨s.raw⟩⟩
instance Compat.coeNumPrio : Coe NumLit Prio := ⟨fun s => ⟨s.raw⟩⟩
@[extern "x"] opaque replaceRef (ref oldRef : Syntax) : Syntax
@[always_inline, inline] def withRef [Monad m] [MonadRef m] {α} (ref : Syntax) (x : m α) : m α :=
  bind getRef fun oldRef => MonadRef.withRef (replaceRef ref oldRef) x
@[always_inline, inline] def withRef? [Monad m] [MonadRef m] {α} (ref? : Option Syntax) (x : m α) : m α := match ref? with
  | some ref => withRef ref x
  | none => x
instance (m n : Type → Type) [MonadLift m n] [MonadFunctor m n] [MonadRef m] : MonadRef n where
  getRef := liftM (getRef : m _)
  withRef ref x := monadMap (m := m) (MonadRef.withRef ref) x
@[extern "x"] opaque addMacroScope (mainModule : Name) (n : Name) (scp : MacroScope) : Name
@[extern "x"] opaque SourceInfo.fromRef (ref : Syntax) (canonical : Bool := false) : SourceInfo
@[inline] def MonadRef.mkInfoFromRefPos [Monad m] [MonadRef m] : m SourceInfo := return SourceInfo.fromRef (← getRef)
@[inline] def MonadQuotation.addMacroScope {m : Type → Type} [MonadQuotation m] [Monad m] (n : Name) : m Name :=
  bind MonadQuotation.getContext fun mainModule => bind getCurrMacroScope fun scp => pure (Lean.addMacroScope mainModule n scp)
instance [MonadFunctor m n] [MonadLift m n] [MonadQuotation m] : MonadQuotation n where
  getCurrMacroScope := liftM (m := m) getCurrMacroScope
  getContext := liftM (m := m) MonadQuotation.getContext
  withFreshMacroScope := monadMap (m := m) withFreshMacroScope
namespace Macro
def throwUnsupported {α} : MacroM α := throw .unsupportedSyntax
def throwError {α} (msg : String) : MacroM α := do throw (.error (← getRefOf) msg)
where getRefOf : MacroM Syntax := fun ctx => pure ctx.ref
end Macro
instance Macro.instMonadRefMacroM : MonadRef MacroM where
  getRef := bind read fun ctx => pure ctx.ref
  withRef ref x := withReader (fun ctx => { ctx with ref := ref }) x
instance Macro.instMonadQuotationMacroM : MonadQuotation MacroM where
  getCurrMacroScope := fun ctx => pure ctx.currMacroScope
  getContext := fun ctx => pure ctx.quotContext
  withFreshMacroScope x := bind (modifyGet fun s => (s.macroScope, { s with macroScope := s.macroScope + 1 })) fun fresh =>
    withReader (fun ctx => { ctx with currMacroScope := fresh }) x
@[inline] def Macro.throwErrorAt {α} (ref : Syntax) (msg : String) : MacroM α := withRef ref (Macro.throwError msg)
instance PrettyPrinter.instMonadQuotationUnexpandM : MonadQuotation PrettyPrinter.UnexpandM where
  getRef := fun ref => pure ref
  withRef ref x := fun _ => x ref
  getCurrMacroScope := pure 0
  getContext := pure `_fakeMod
  withFreshMacroScope x := x
namespace Syntax
def node1 (info : SourceInfo) (kind : SyntaxNodeKind) (a : Syntax) : Syntax := .node info kind #[a]
def node2 (info : SourceInfo) (kind : SyntaxNodeKind) (a b : Syntax) : Syntax := .node info kind #[a, b]
def node3 (info : SourceInfo) (kind : SyntaxNodeKind) (a b c : Syntax) : Syntax := .node info kind #[a, b, c]
def node4 (info : SourceInfo) (kind : SyntaxNodeKind) (a b c d : Syntax) : Syntax := .node info kind #[a, b, c, d]
def node5 (info : SourceInfo) (kind : SyntaxNodeKind) (a b c d e : Syntax) : Syntax := .node info kind #[a, b, c, d, e]
def node6 (info : SourceInfo) (kind : SyntaxNodeKind) (a b c d e f : Syntax) : Syntax := .node info kind #[a, b, c, d, e, f]
def node7 (info : SourceInfo) (kind : SyntaxNodeKind) (a b c d e f g : Syntax) : Syntax := .node info kind #[a, b, c, d, e, f, g]
def node8 (info : SourceInfo) (kind : SyntaxNodeKind) (a b c d e f g h : Syntax) : Syntax := .node info kind #[a, b, c, d, e, f, g, h]
@[extern "x"] opaque getKind (stx : Syntax) : SyntaxNodeKind
@[extern "x"] opaque setKind (stx : Syntax) (k : SyntaxNodeKind) : Syntax
@[extern "x"] opaque isOfKind (stx : Syntax) (k : SyntaxNodeKind) : Bool
@[extern "x"] opaque getArg (stx : Syntax) (i : Nat) : Syntax
@[extern "x"] opaque getArgs (stx : Syntax) : Array Syntax
@[extern "x"] opaque getNumArgs (stx : Syntax) : Nat
@[extern "x"] opaque getOptional? (stx : Syntax) : Option Syntax
@[extern "x"] opaque isNone (stx : Syntax) : Bool
@[extern "x"] opaque isMissing : Syntax → Bool
@[extern "x"] opaque isIdent : Syntax → Bool
@[extern "x"] opaque getId : Syntax → Name
@[extern "x"] opaque isNatLit? (s : Syntax) : Option Nat
@[extern "x"] opaque isStrLit? (stx : Syntax) : Option String
@[extern "x"] opaque matchesNull (stx : Syntax) (n : Nat) : Bool
@[extern "x"] opaque matchesIdent (stx : Syntax) (id : Name) : Bool
@[extern "x"] opaque matchesLit (stx : Syntax) (k : SyntaxNodeKind) (val : String) : Bool
@[extern "x"] opaque getSepArgs (stx : Syntax) : Array Syntax
@[extern "x"] opaque getPos? (stx : Syntax) (canonicalOnly : Bool := false) : Option String.Pos.Raw
@[extern "x"] opaque reprint (stx : Syntax) : Option String
def mkLit (kind : SyntaxNodeKind) (val : String) (info : SourceInfo := SourceInfo.none) : TSyntax kind :=
  ⟨.node info kind #[.atom info val]⟩
@[extern "x"] opaque mkStrLit (val : String) (info : SourceInfo := SourceInfo.none) : StrLit
def mkNumLit (val : String) (info : SourceInfo := SourceInfo.none) : NumLit := mkLit numLitKind val info
def mkNatLit (val : Nat) (info : SourceInfo := SourceInfo.none) : NumLit := mkLit numLitKind (toString val) info
instance : GetElem Syntax Nat Syntax fun _ _ => True where
  getElem stx i _ := stx.getArg i
instance : BEq Syntax := ⟨fun a b => a.reprint == b.reprint⟩
end Syntax
@[extern "x"] opaque mkIdent (val : Name) : Ident
@[extern "x"] opaque mkIdentFrom (src : Syntax) (val : Name) (canonical : Bool := false) : Ident
@[extern "x"] opaque mkCIdent (c : Name) : Ident
namespace TSyntax
@[inline] def getId (s : Ident) : Name := s.raw.getId
def getNat (s : NumLit) : Nat := s.raw.isNatLit?.getD 0
def getString (s : StrLit) : String := s.raw.isStrLit?.getD ""
end TSyntax
class Quote (α : Type) (k : SyntaxNodeKind := `term) where
  quote : α → TSyntax k
export Quote (quote)
instance : Quote Nat numLitKind := ⟨fun n => Syntax.mkNumLit (toString n)⟩
instance LeanWorker.Prelude.quoteNat : Quote Nat := ⟨fun n => ⟨(Syntax.mkNumLit (toString n)).raw⟩⟩
instance LeanWorker.Prelude.quoteString : Quote String := ⟨fun s => ⟨(Syntax.mkStrLit s).raw⟩⟩

-- Arrays of typed syntax are arrays of syntax: one field is no object of its own.
@[inline] def TSyntaxArray.raw {ks : SyntaxNodeKinds} (as : TSyntaxArray ks) : Array Syntax := as.map TSyntax.raw
@[inline] def TSyntaxArray.mk {ks : SyntaxNodeKinds} (as : Array Syntax) : TSyntaxArray ks := as.map fun s => ⟨s⟩
namespace Syntax
@[extern "x"] opaque SepArray.ofElems {sep : String} (elems : Array Syntax) : SepArray sep := ⟨elems⟩
@[extern "x"] opaque SepArray.getElems {sep : String} (sa : SepArray sep) : Array Syntax
@[inline] def TSepArray.getElems {k : SyntaxNodeKinds} {sep : String} (sa : TSepArray k sep) : TSyntaxArray k :=
  .mk (SepArray.getElems (sep := sep) ⟨sa.elemsAndSeps⟩)
@[inline] def TSepArray.ofElems {k : SyntaxNodeKinds} {sep : String} (elems : TSyntaxArray k) : TSepArray k sep :=
  ⟨(SepArray.ofElems (sep := sep) elems.raw).elemsAndSeps⟩
instance SepArray.coe : Coe (Array Syntax) (SepArray sep) := ⟨SepArray.ofElems⟩
instance TSepArray.coe' : CoeOut (TSepArray k sep) (TSyntaxArray k) := ⟨TSepArray.getElems⟩
instance TSepArray.coe : Coe (TSyntaxArray k) (TSepArray k sep) := ⟨TSepArray.ofElems⟩
instance TSyntaxArray.coe' : CoeOut (TSyntaxArray k) (Array Syntax) := ⟨fun a => a.raw⟩
end Syntax
end Lean
