module

prelude
public import LeanWorker.Prelude.Control
/-! Syntax trees and macros. The shapes are the library's, because its own macros and parsers, which are native code, run
on these values. -/

@[expose] public section

set_option genSizeOf false
set_option linter.all false

universe u v w u₁ u₂

namespace Lean

/-! ## Syntax trees -/

inductive SourceInfo where
  | original (leading : Substring.Raw) (pos : String.Pos.Raw) (trailing : Substring.Raw) (endPos : String.Pos.Raw)
  | synthetic (pos : String.Pos.Raw) (endPos : String.Pos.Raw) (canonical : Bool := false)
  | protected none
instance instInhabitedSourceInfo : Inhabited SourceInfo := ⟨SourceInfo.none⟩
abbrev SyntaxNodeKind := Name
inductive Syntax.Preresolved where
  | namespace (ns : Name)
  | decl (n : Name) (fields : List String)
inductive Syntax where
  | missing : Syntax
  | node (info : SourceInfo) (kind : SyntaxNodeKind) (args : Array Syntax) : Syntax
  | atom (info : SourceInfo) (val : String) : Syntax
  | ident (info : SourceInfo) (rawVal : Substring.Raw) (val : Name) (preresolved : List Syntax.Preresolved) : Syntax
@[implicit_reducible] def SyntaxNodeKinds := List SyntaxNodeKind
structure TSyntax (ks : SyntaxNodeKinds) where
  raw : Syntax
instance instInhabitedSyntax : Inhabited Syntax := ⟨Syntax.missing⟩
instance instInhabitedTSyntax {ks : SyntaxNodeKinds} : Inhabited (TSyntax ks) := ⟨⟨default⟩⟩
abbrev choiceKind : SyntaxNodeKind := Name.mkStr1 "choice"
abbrev nullKind : SyntaxNodeKind := Name.mkStr1 "null"
abbrev groupKind : SyntaxNodeKind := Name.mkStr1 "group"
abbrev identKind : SyntaxNodeKind := Name.mkStr1 "ident"
abbrev strLitKind : SyntaxNodeKind := Name.mkStr1 "str"
abbrev charLitKind : SyntaxNodeKind := Name.mkStr1 "char"
abbrev numLitKind : SyntaxNodeKind := Name.mkStr1 "num"
abbrev scientificLitKind : SyntaxNodeKind := Name.mkStr1 "scientific"
abbrev nameLitKind : SyntaxNodeKind := Name.mkStr1 "name"
abbrev fieldIdxKind : SyntaxNodeKind := Name.mkStr1 "fieldIdx"
abbrev hygieneInfoKind : SyntaxNodeKind := Name.mkStr1 "hygieneInfo"
abbrev interpolatedStrLitKind : SyntaxNodeKind := Name.mkStr1 "interpolatedStrLitKind"
abbrev interpolatedStrKind : SyntaxNodeKind := Name.mkStr1 "interpolatedStrKind"
structure Syntax.SepArray (sep : String) where
  elemsAndSeps : Array Syntax
structure Syntax.TSepArray (ks : SyntaxNodeKinds) (sep : String) where
  elemsAndSeps : Array Syntax
abbrev TSyntaxArray (ks : SyntaxNodeKinds) := Array (TSyntax ks)

@[extern "x"] opaque mkAtom (val : String) : Syntax
def mkNode (k : SyntaxNodeKind) (args : Array Syntax) : TSyntax (List.cons k List.nil) := ⟨Syntax.node SourceInfo.none k args⟩
def mkNullNode (args : Array Syntax := Array.empty) : Syntax := (mkNode nullKind args).raw

inductive ParserDescr where
  | const (name : Name)
  | unary (name : Name) (p : ParserDescr)
  | binary (name : Name) (p₁ p₂ : ParserDescr)
  | node (kind : SyntaxNodeKind) (prec : Nat) (p : ParserDescr)
  | trailingNode (kind : SyntaxNodeKind) (prec lhsPrec : Nat) (p : ParserDescr)
  | symbol (val : String)
  | nonReservedSymbol (val : String) (includeIdent : Bool)
  | cat (catName : Name) (rbp : Nat)
  | parser (declName : Name)
  | nodeWithAntiquot (name : String) (kind : SyntaxNodeKind) (p : ParserDescr)
  | sepBy (p : ParserDescr) (sep : String) (psep : ParserDescr) (allowTrailingSep : Bool := false)
  | sepBy1 (p : ParserDescr) (sep : String) (psep : ParserDescr) (allowTrailingSep : Bool := false)
  | unicodeSymbol (val asciiVal : String) (preserveForPP : Bool)
abbrev TrailingParserDescr := ParserDescr
instance instInhabitedParserDescr : Inhabited ParserDescr := ⟨ParserDescr.symbol ""⟩
structure Parser.Category where

/-! ## Macros -/

abbrev MacroScope := Nat
class MonadRef (m : Type → Type) where
  getRef : m Syntax
  withRef {α} : Syntax → m α → m α
export MonadRef (getRef)
class MonadQuotation (m : Type → Type) extends MonadRef m where
  getCurrMacroScope : m MacroScope
  getContext : m Name
  withFreshMacroScope {α : Type} : m α → m α
export MonadQuotation (getCurrMacroScope withFreshMacroScope)

opaque Macro.MethodsRef : Type
structure Macro.Context where
  methods : Macro.MethodsRef
  quotContext : Name
  currMacroScope : MacroScope
  currRecDepth : Nat := 0
  maxRecDepth : Nat := 512
  ref : Syntax
inductive Macro.Exception where
  | error : Syntax → String → Macro.Exception
  | unsupportedSyntax : Macro.Exception
structure Macro.State where
  macroScope : MacroScope
  expandedMacroDecls : List Name := List.nil
  traceMsgs : List (Prod Name String) := List.nil
abbrev MacroM := ReaderT Macro.Context (EStateM Macro.Exception Macro.State)
abbrev Macro := Syntax → MacroM Syntax
abbrev PrettyPrinter.UnexpandM := ReaderT Syntax (EStateM Unit Unit)
abbrev PrettyPrinter.Unexpander := Syntax → PrettyPrinter.UnexpandM Syntax
instance Macro.instInhabited : Inhabited Macro := ⟨fun _ => throw Macro.Exception.unsupportedSyntax⟩
instance PrettyPrinter.instInhabited : Inhabited PrettyPrinter.Unexpander := ⟨fun _ => throw Unit.unit⟩
end Lean

@[reducible] def autoParam (α : Sort u) (tactic : Lean.Syntax) : Sort u := α
