module

prelude
public import LeanWorker.Prelude.Meta
public meta import LeanWorker.Prelude.Meta
/-! The notation of Init for terms, types and `do` blocks.

Written by ci/generate-embedded for Lean 4.35.0 (eb6cafb7290e8bd5f2937522d8d804f58f02bafc): change nothing by hand. -/

public meta section
set_option linter.all false

declare_syntax_cat binderPred
@[term_parser, extern "_"] opaque Array.«term__[:_]» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Array.«term__[_:]» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Array.«term__[_:_]» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Array.«term_~_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque BitVec.«term__#'__» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque BitVec.«term__#__» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Bool.«term_^^_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Int.«term-[_+1]» : Lean.ParserDescr
@[attr_parser, extern "_"] opaque Lean.Parser.Attr.ext : Lean.ParserDescr
@[attr_parser, extern "_"] opaque Lean.Parser.Attr.norm_cast : Lean.ParserDescr
@[attr_parser, extern "_"] opaque Lean.Parser.Attr.simp : Lean.ParserDescr
@[command_parser, extern "_"] opaque Lean.Parser.Command.classAbbrev : Lean.ParserDescr
@[command_parser, extern "_"] opaque Lean.Parser.Command.guardCmd : Lean.ParserDescr
@[command_parser, extern "_"] opaque Lean.Parser.Command.guardExprCmd : Lean.ParserDescr
@[prec_parser, extern "_"] opaque Lean.Parser.Syntax.addPrec : Lean.TrailingParserDescr
@[prio_parser, extern "_"] opaque Lean.Parser.Syntax.addPrio : Lean.TrailingParserDescr
@[prec_parser, extern "_"] opaque Lean.Parser.Syntax.subPrec : Lean.TrailingParserDescr
@[prio_parser, extern "_"] opaque Lean.Parser.Syntax.subPrio : Lean.TrailingParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred<_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred>_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred∈_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred∉_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred≠_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred≤_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred≥_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred⊂_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred⊃_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred⊆_» : Lean.ParserDescr
@[binderPred_parser, extern "_"] opaque Lean.«binderPred⊇_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.«calc» : Lean.ParserDescr
@[attr_parser, extern "_"] opaque Lean.deprecated : Lean.ParserDescr
@[command_parser, extern "_"] opaque Lean.guardMsgsCmd : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.includeStr : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.modCast : Lean.ParserDescr
@[command_parser, extern "_"] opaque Lean.reduceCmd : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.termEval_prec_ : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.termEval_prio_ : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.«termSatisfies_binder_pred%__» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.«term_Matches_|» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Lean.«term∀__,_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Lean.«term∃__,_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque List.«term_<+:_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque List.«term_<+_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque List.«term_<:+:_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque List.«term_<:+_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque List.«term_~_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.Legacy.Range.«term[:_:_]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.Legacy.Range.«term[:_]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.Legacy.Range.«term[_:_:_]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.Legacy.Range.«term[_:_]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.«term*...*» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.«term*...<_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.«term*...=_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.«term*..._» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.termF!_ : Lean.ParserDescr
@[term_parser, extern "_"] opaque Std.«term_...*» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.«term_...<_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.«term_...=_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.«term_..._» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.«term_<...*» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.«term_<...<_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.«term_<...=_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Std.«term_<..._» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque Vector.«term#v[_,]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque Vector.«term_~_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque boolIfThenElse : Lean.ParserDescr
@[term_parser, extern "_"] opaque coeFunNotation : Lean.ParserDescr
@[term_parser, extern "_"] opaque coeNotation : Lean.ParserDescr
@[term_parser, extern "_"] opaque coeSortNotation : Lean.ParserDescr
@[prec_parser, extern "_"] opaque «prec(_)» : Lean.ParserDescr
@[prec_parser, extern "_"] opaque precArg : Lean.ParserDescr
@[prec_parser, extern "_"] opaque precLead : Lean.ParserDescr
@[prec_parser, extern "_"] opaque precMax : Lean.ParserDescr
@[prec_parser, extern "_"] opaque precMin : Lean.ParserDescr
@[prec_parser, extern "_"] opaque precMin1 : Lean.ParserDescr
@[prio_parser, extern "_"] opaque «prio(_)» : Lean.ParserDescr
@[prio_parser, extern "_"] opaque prioDefault : Lean.ParserDescr
@[prio_parser, extern "_"] opaque prioHigh : Lean.ParserDescr
@[prio_parser, extern "_"] opaque prioLow : Lean.ParserDescr
@[prio_parser, extern "_"] opaque prioMid : Lean.ParserDescr
@[term_parser, extern "_"] opaque rawNatLit : Lean.ParserDescr
@[stx_parser, extern "_"] opaque stx!_ : Lean.ParserDescr
@[stx_parser, extern "_"] opaque «stx_*» : Lean.TrailingParserDescr
@[stx_parser, extern "_"] opaque «stx_+» : Lean.TrailingParserDescr
@[stx_parser, extern "_"] opaque «stx_,*» : Lean.TrailingParserDescr
@[stx_parser, extern "_"] opaque «stx_,*,?» : Lean.TrailingParserDescr
@[stx_parser, extern "_"] opaque «stx_,+» : Lean.TrailingParserDescr
@[stx_parser, extern "_"] opaque «stx_,+,?» : Lean.TrailingParserDescr
@[stx_parser, extern "_"] opaque «stx_<|>_» : Lean.TrailingParserDescr
@[stx_parser, extern "_"] opaque stx_? : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque term!_ : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term#[_,]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term%[_|_]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term-_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque termDepIfThenElse : Lean.ParserDescr
@[term_parser, extern "_"] opaque «termExists_,_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque termIfLet : Lean.ParserDescr
@[term_parser, extern "_"] opaque termIfThenElse : Lean.ParserDescr
@[term_parser, extern "_"] opaque termMax_prec : Lean.ParserDescr
@[term_parser, extern "_"] opaque termPrintln!__ : Lean.ParserDescr
@[term_parser, extern "_"] opaque termS!_ : Lean.ParserDescr
@[term_parser, extern "_"] opaque termWithout_expected_type_ : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term[_]» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term_!=_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_$__» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_%_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_&&&_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_&&_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_*>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_*_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_++_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_+_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_-_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_/_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_::_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<$>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<&&>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<&>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<*>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<*_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<<<_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<=<_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<|>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<|_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_<||>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_=<<_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_==_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_=_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_>=>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_>>=_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_>>>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_>>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_\_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_^^^_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_^_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term__[_]» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term__[_]'_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term__[_]_!» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term__[_]_?» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_|>_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_||_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_|||_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_×'_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_×'__1» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term_×_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_×__1» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term_•_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_⁻¹» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_↔_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∈_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∉_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∘_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∣_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∧_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∨_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∩_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_∪_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_≈_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_≍_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_≠_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_≤_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_≥_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_⊂_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_⊃_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_⊆_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_⊇_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_⊕'_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term_⊕_» : Lean.TrailingParserDescr
@[term_parser, extern "_"] opaque «term{_:_//_}» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term{_}» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term{}» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term~~~_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term¬_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «termΣ'_,_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «termΣ_,_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term‹_›» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term∃_,_» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term∅» : Lean.ParserDescr
@[term_parser, extern "_"] opaque «term∎» : Lean.ParserDescr
@[macro Array.«term_~_», extern "_"] opaque Array.«_aux_Init_Data_Array_Perm___macroRules_Array_term_~__1» : Lean.Macro
@[macro Array.«term__[_:_]», extern "_"] opaque Array.«_aux_Init_Data_Array_Subarray___macroRules_Array_term__[_:_]_1» : Lean.Macro
@[macro Array.«term__[_:]», extern "_"] opaque Array.«_aux_Init_Data_Array_Subarray___macroRules_Array_term__[_:]_1» : Lean.Macro
@[macro Array.«term__[:_]», extern "_"] opaque Array.«_aux_Init_Data_Array_Subarray___macroRules_Array_term__[:_]_1» : Lean.Macro
@[macro BitVec.«term__#__», extern "_"] opaque BitVec.«_aux_Init_Data_BitVec_Basic___macroRules_BitVec_term__#___1» : Lean.Macro
@[macro BitVec.«term__#'__», extern "_"] opaque BitVec.«_aux_Init_Data_BitVec_Basic___macroRules_BitVec_term__#'___1» : Lean.Macro
@[macro Bool.«term_^^_», extern "_"] opaque Bool.«_aux_Init_Data_Bool___macroRules_Bool_term_^^__1» : Lean.Macro
@[macro Int.«term-[_+1]», extern "_"] opaque Int.«_aux_Init_Data_Int_Basic___macroRules_Int_term-[_+1]_1» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___1» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___10» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___11» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___2» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___3» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___4» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___5» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___6» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___7» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___8» : Lean.Macro
@[macro Lean.«termSatisfies_binder_pred%__», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_termSatisfies_binder_pred%___9» : Lean.Macro
@[macro Lean.«term∀__,_», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_term∀__,__1» : Lean.Macro
@[macro Lean.«term∃__,_», extern "_"] opaque Lean.«_aux_Init_BinderPredicates___macroRules_Lean_term∃__,__1» : Lean.Macro
@[macro «term[_]», extern "_"] opaque Lean.«_aux_Init_Data_List_Notation___macroRules_term[_]_1» : Lean.Macro
@[macro Lean.Parser.Syntax.addPrec, extern "_"] opaque Lean._aux_Init_Meta___macroRules_Lean_Parser_Syntax_addPrec_1 : Lean.Macro
@[macro Lean.Parser.Syntax.addPrio, extern "_"] opaque Lean._aux_Init_Meta___macroRules_Lean_Parser_Syntax_addPrio_1 : Lean.Macro
@[macro Lean.Parser.Syntax.subPrec, extern "_"] opaque Lean._aux_Init_Meta___macroRules_Lean_Parser_Syntax_subPrec_1 : Lean.Macro
@[macro Lean.Parser.Syntax.subPrio, extern "_"] opaque Lean._aux_Init_Meta___macroRules_Lean_Parser_Syntax_subPrio_1 : Lean.Macro
@[macro Lean.termEval_prec_, extern "_"] opaque Lean._aux_Init_Meta___macroRules_Lean_termEval_prec__1 : Lean.Macro
@[macro Lean.termEval_prio_, extern "_"] opaque Lean._aux_Init_Meta___macroRules_Lean_termEval_prio__1 : Lean.Macro
@[macro Lean.«term_Matches_|», extern "_"] opaque Lean.«_aux_Init_NotationExtra___macroRules_Lean_term_Matches_|_1» : Lean.Macro
@[macro List.«term_<+_», extern "_"] opaque List.«_aux_Init_Data_List_Basic___macroRules_List_term_<+__1» : Lean.Macro
@[macro List.«term_<+:_», extern "_"] opaque List.«_aux_Init_Data_List_Basic___macroRules_List_term_<+:__1» : Lean.Macro
@[macro List.«term_<:+_», extern "_"] opaque List.«_aux_Init_Data_List_Basic___macroRules_List_term_<:+__1» : Lean.Macro
@[macro List.«term_<:+:_», extern "_"] opaque List.«_aux_Init_Data_List_Basic___macroRules_List_term_<:+:__1» : Lean.Macro
@[macro List.«term_~_», extern "_"] opaque List.«_aux_Init_Data_List_Basic___macroRules_List_term_~__1» : Lean.Macro
@[macro Std.Legacy.Range.«term[_:_:_]», extern "_"] opaque Std.Legacy.Range.«_aux_Init_Data_Range_Basic___macroRules_Std_Legacy_Range_term[_:_:_]_1» : Lean.Macro
@[macro Std.Legacy.Range.«term[_:_]», extern "_"] opaque Std.Legacy.Range.«_aux_Init_Data_Range_Basic___macroRules_Std_Legacy_Range_term[_:_]_1» : Lean.Macro
@[macro Std.Legacy.Range.«term[:_:_]», extern "_"] opaque Std.Legacy.Range.«_aux_Init_Data_Range_Basic___macroRules_Std_Legacy_Range_term[:_:_]_1» : Lean.Macro
@[macro Std.Legacy.Range.«term[:_]», extern "_"] opaque Std.Legacy.Range.«_aux_Init_Data_Range_Basic___macroRules_Std_Legacy_Range_term[:_]_1» : Lean.Macro
@[macro Std.termF!_, extern "_"] opaque Std._aux_Init_Data_Format_Macro___macroRules_Std_termF!__1 : Lean.Macro
@[macro Std.«term_..._», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_...__1» : Lean.Macro
@[macro Std.«term_...*», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_...*_1» : Lean.Macro
@[macro Std.«term_...<_», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_...<__1» : Lean.Macro
@[macro Std.«term_...=_», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_...=__1» : Lean.Macro
@[macro Std.«term_<..._», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_<...__1» : Lean.Macro
@[macro Std.«term_<...*», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_<...*_1» : Lean.Macro
@[macro Std.«term_<...<_», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_<...<__1» : Lean.Macro
@[macro Std.«term_<...=_», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term_<...=__1» : Lean.Macro
@[macro Std.«term*..._», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term*...__1» : Lean.Macro
@[macro Std.«term*...*», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term*...*_1» : Lean.Macro
@[macro Std.«term*...<_», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term*...<__1» : Lean.Macro
@[macro Std.«term*...=_», extern "_"] opaque Std.«_aux_Init_Data_Range_Polymorphic_PRange___macroRules_Std_term*...=__1» : Lean.Macro
@[macro «term__[_]», extern "_"] opaque Std.«_aux_Init_Data_Slice_Notation___macroRules_term__[_]_1» : Lean.Macro
@[macro Vector.«term#v[_,]», extern "_"] opaque Vector.«_aux_Init_Data_Vector_Basic___macroRules_Vector_term#v[_,]_1» : Lean.Macro
@[macro Vector.«term_~_», extern "_"] opaque Vector.«_aux_Init_Data_Vector_Perm___macroRules_Vector_term_~__1» : Lean.Macro
@[macro «term_<&&>_», extern "_"] opaque «_aux_Init_Control_Basic___macroRules_term_<&&>__1» : Lean.Macro
@[macro «term_<&>_», extern "_"] opaque «_aux_Init_Control_Basic___macroRules_term_<&>__1» : Lean.Macro
@[macro «term_<=<_», extern "_"] opaque «_aux_Init_Control_Basic___macroRules_term_<=<__1» : Lean.Macro
@[macro «term_<||>_», extern "_"] opaque «_aux_Init_Control_Basic___macroRules_term_<||>__1» : Lean.Macro
@[macro «term_=<<_», extern "_"] opaque «_aux_Init_Control_Basic___macroRules_term_=<<__1» : Lean.Macro
@[macro «term_>=>_», extern "_"] opaque «_aux_Init_Control_Basic___macroRules_term_>=>__1» : Lean.Macro
@[macro «term_↔_», extern "_"] opaque «_aux_Init_Core___macroRules_term_↔__1» : Lean.Macro
@[macro «term_∩_», extern "_"] opaque «_aux_Init_Core___macroRules_term_∩__1» : Lean.Macro
@[macro «term_∪_», extern "_"] opaque «_aux_Init_Core___macroRules_term_∪__1» : Lean.Macro
@[macro «term_≈_», extern "_"] opaque «_aux_Init_Core___macroRules_term_≈__1» : Lean.Macro
@[macro «term_≠_», extern "_"] opaque «_aux_Init_Core___macroRules_term_≠__1» : Lean.Macro
@[macro «term_≠_», extern "_"] opaque «_aux_Init_Core___macroRules_term_≠__2» : Lean.Macro
@[macro «term_⊂_», extern "_"] opaque «_aux_Init_Core___macroRules_term_⊂__1» : Lean.Macro
@[macro «term_⊃_», extern "_"] opaque «_aux_Init_Core___macroRules_term_⊃__1» : Lean.Macro
@[macro «term_⊆_», extern "_"] opaque «_aux_Init_Core___macroRules_term_⊆__1» : Lean.Macro
@[macro «term_⊇_», extern "_"] opaque «_aux_Init_Core___macroRules_term_⊇__1» : Lean.Macro
@[macro «term_⊕_», extern "_"] opaque «_aux_Init_Core___macroRules_term_⊕__1» : Lean.Macro
@[macro «term_⊕'_», extern "_"] opaque «_aux_Init_Core___macroRules_term_⊕'__1» : Lean.Macro
@[macro «term_!=_», extern "_"] opaque «_aux_Init_Core___macroRules_term_!=__1» : Lean.Macro
@[macro «term_!=_», extern "_"] opaque «_aux_Init_Core___macroRules_term_!=__2» : Lean.Macro
@[macro «term_\_», extern "_"] opaque «_aux_Init_Core___macroRules_term_\__1» : Lean.Macro
@[macro «term∅», extern "_"] opaque «_aux_Init_Core___macroRules_term∅_1» : Lean.Macro
@[macro «term{}», extern "_"] opaque «_aux_Init_Core___macroRules_term{}_1» : Lean.Macro
@[macro «term#[_,]», extern "_"] opaque «_aux_Init_Data_Array_Basic___macroRules_term#[_,]_1» : Lean.Macro
@[macro termS!_, extern "_"] opaque _aux_Init_Data_ToString_Macro___macroRules_termS!__1 : Lean.Macro
@[macro «term__[_]», extern "_"] opaque «_aux_Init_GetElem___macroRules_term__[_]_1» : Lean.Macro
@[macro «term__[_]_!», extern "_"] opaque «_aux_Init_GetElem___macroRules_term__[_]_!_1» : Lean.Macro
@[macro «term__[_]_?», extern "_"] opaque «_aux_Init_GetElem___macroRules_term__[_]_?_1» : Lean.Macro
@[macro «term__[_]'_», extern "_"] opaque «_aux_Init_GetElem___macroRules_term__[_]'__1» : Lean.Macro
@[macro Lean.Parser.Command.classAbbrev, extern "_"] opaque _aux_Init_NotationExtra___macroRules_Lean_Parser_Command_classAbbrev_1 : Lean.Macro
@[macro «termExists_,_», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_termExists_,__1» : Lean.Macro
@[macro «term_×__1», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_term_×__1_1» : Lean.Macro
@[macro «term_×'__1», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_term_×'__1_1» : Lean.Macro
@[macro «termΣ_,_», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_termΣ_,__1» : Lean.Macro
@[macro «termΣ'_,_», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_termΣ'_,__1» : Lean.Macro
@[macro «term∃_,_», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_term∃_,__1» : Lean.Macro
@[macro «term%[_|_]», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_term%[_|_]_1» : Lean.Macro
@[macro «term{_}», extern "_"] opaque «_aux_Init_NotationExtra___macroRules_term{_}_1» : Lean.Macro
@[macro boolIfThenElse, extern "_"] opaque _aux_Init_Notation___macroRules_boolIfThenElse_1 : Lean.Macro
@[macro precArg, extern "_"] opaque _aux_Init_Notation___macroRules_precArg_1 : Lean.Macro
@[macro precLead, extern "_"] opaque _aux_Init_Notation___macroRules_precLead_1 : Lean.Macro
@[macro precMax, extern "_"] opaque _aux_Init_Notation___macroRules_precMax_1 : Lean.Macro
@[macro precMin1, extern "_"] opaque _aux_Init_Notation___macroRules_precMin1_1 : Lean.Macro
@[macro precMin, extern "_"] opaque _aux_Init_Notation___macroRules_precMin_1 : Lean.Macro
@[macro «prec(_)», extern "_"] opaque «_aux_Init_Notation___macroRules_prec(_)_1» : Lean.Macro
@[macro prioDefault, extern "_"] opaque _aux_Init_Notation___macroRules_prioDefault_1 : Lean.Macro
@[macro prioHigh, extern "_"] opaque _aux_Init_Notation___macroRules_prioHigh_1 : Lean.Macro
@[macro prioLow, extern "_"] opaque _aux_Init_Notation___macroRules_prioLow_1 : Lean.Macro
@[macro prioMid, extern "_"] opaque _aux_Init_Notation___macroRules_prioMid_1 : Lean.Macro
@[macro «prio(_)», extern "_"] opaque «_aux_Init_Notation___macroRules_prio(_)_1» : Lean.Macro
@[macro «stx_*», extern "_"] opaque «_aux_Init_Notation___macroRules_stx_*_1» : Lean.Macro
@[macro «stx_+», extern "_"] opaque «_aux_Init_Notation___macroRules_stx_+_1» : Lean.Macro
@[macro «stx_,*», extern "_"] opaque «_aux_Init_Notation___macroRules_stx_,*_1» : Lean.Macro
@[macro «stx_,*,?», extern "_"] opaque «_aux_Init_Notation___macroRules_stx_,*,?_1» : Lean.Macro
@[macro «stx_,+», extern "_"] opaque «_aux_Init_Notation___macroRules_stx_,+_1» : Lean.Macro
@[macro «stx_,+,?», extern "_"] opaque «_aux_Init_Notation___macroRules_stx_,+,?_1» : Lean.Macro
@[macro «stx_<|>_», extern "_"] opaque «_aux_Init_Notation___macroRules_stx_<|>__1» : Lean.Macro
@[macro stx_?, extern "_"] opaque _aux_Init_Notation___macroRules_stx_?_1 : Lean.Macro
@[macro stx!_, extern "_"] opaque _aux_Init_Notation___macroRules_stx!__1 : Lean.Macro
@[macro termDepIfThenElse, extern "_"] opaque _aux_Init_Notation___macroRules_termDepIfThenElse_1 : Lean.Macro
@[macro termIfLet, extern "_"] opaque _aux_Init_Notation___macroRules_termIfLet_1 : Lean.Macro
@[macro termIfThenElse, extern "_"] opaque _aux_Init_Notation___macroRules_termIfThenElse_1 : Lean.Macro
@[macro termMax_prec, extern "_"] opaque _aux_Init_Notation___macroRules_termMax_prec_1 : Lean.Macro
@[macro termWithout_expected_type_, extern "_"] opaque _aux_Init_Notation___macroRules_termWithout_expected_type__1 : Lean.Macro
@[macro «term_•_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_•__1» : Lean.Macro
@[macro «term_•_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_•__2» : Lean.Macro
@[macro «term_⁻¹», extern "_"] opaque «_aux_Init_Notation___macroRules_term_⁻¹_1» : Lean.Macro
@[macro «term_∈_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_∈__1» : Lean.Macro
@[macro «term_∉_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_∉__1» : Lean.Macro
@[macro «term_∘_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_∘__1» : Lean.Macro
@[macro «term_∣_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_∣__1» : Lean.Macro
@[macro «term_∧_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_∧__1» : Lean.Macro
@[macro «term_∨_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_∨__1» : Lean.Macro
@[macro «term_≍_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_≍__1» : Lean.Macro
@[macro «term_≤_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_≤__1» : Lean.Macro
@[macro «term_≤_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_≤__2» : Lean.Macro
@[macro «term_≥_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_≥__1» : Lean.Macro
@[macro «term_≥_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_≥__2» : Lean.Macro
@[macro «term_$__», extern "_"] opaque «_aux_Init_Notation___macroRules_term_$___1» : Lean.Macro
@[macro «term_%_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_%__1» : Lean.Macro
@[macro «term_%_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_%__2» : Lean.Macro
@[macro «term_&&_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_&&__1» : Lean.Macro
@[macro «term_&&&_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_&&&__1» : Lean.Macro
@[macro «term_&&&_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_&&&__2» : Lean.Macro
@[macro «term_*_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_*__1» : Lean.Macro
@[macro «term_*_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_*__2» : Lean.Macro
@[macro «term_*>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_*>__1» : Lean.Macro
@[macro «term_+_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_+__1» : Lean.Macro
@[macro «term_+_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_+__2» : Lean.Macro
@[macro «term_++_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_++__1» : Lean.Macro
@[macro «term_++_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_++__2» : Lean.Macro
@[macro «term_-_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_-__1» : Lean.Macro
@[macro «term_-_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_-__2» : Lean.Macro
@[macro «term_/_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_/__1» : Lean.Macro
@[macro «term_/_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_/__2» : Lean.Macro
@[macro «term_::_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_::__1» : Lean.Macro
@[macro «term_<_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<__1» : Lean.Macro
@[macro «term_<_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<__2» : Lean.Macro
@[macro «term_<$>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<$>__1» : Lean.Macro
@[macro «term_<*_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<*__1» : Lean.Macro
@[macro «term_<*>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<*>__1» : Lean.Macro
@[macro «term_<<<_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<<<__1» : Lean.Macro
@[macro «term_<|_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<|__1» : Lean.Macro
@[macro «term_<|>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_<|>__1» : Lean.Macro
@[macro «term_=_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_=__1» : Lean.Macro
@[macro «term_=_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_=__2» : Lean.Macro
@[macro «term_==_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_==__1» : Lean.Macro
@[macro «term_==_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_==__2» : Lean.Macro
@[macro «term_>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_>__1» : Lean.Macro
@[macro «term_>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_>__2» : Lean.Macro
@[macro «term_>>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_>>__1» : Lean.Macro
@[macro «term_>>=_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_>>=__1» : Lean.Macro
@[macro «term_>>>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_>>>__1» : Lean.Macro
@[macro «term_^_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_^__1» : Lean.Macro
@[macro «term_^_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_^__2» : Lean.Macro
@[macro «term_^^^_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_^^^__1» : Lean.Macro
@[macro «term_^^^_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_^^^__2» : Lean.Macro
@[macro «term_|>_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_|>__1» : Lean.Macro
@[macro «term_||_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_||__1» : Lean.Macro
@[macro «term_|||_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_|||__1» : Lean.Macro
@[macro «term_|||_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_|||__2» : Lean.Macro
@[macro «term_×_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_×__1» : Lean.Macro
@[macro «term_×'_», extern "_"] opaque «_aux_Init_Notation___macroRules_term_×'__1» : Lean.Macro
@[macro term!_, extern "_"] opaque _aux_Init_Notation___macroRules_term!__1 : Lean.Macro
@[macro «term-_», extern "_"] opaque «_aux_Init_Notation___macroRules_term-__1» : Lean.Macro
@[macro «term-_», extern "_"] opaque «_aux_Init_Notation___macroRules_term-__2» : Lean.Macro
@[macro «term{_:_//_}», extern "_"] opaque «_aux_Init_Notation___macroRules_term{_:_//_}_1» : Lean.Macro
@[macro «term~~~_», extern "_"] opaque «_aux_Init_Notation___macroRules_term~~~__1» : Lean.Macro
@[macro «term¬_», extern "_"] opaque «_aux_Init_Notation___macroRules_term¬__1» : Lean.Macro
@[macro termPrintln!__, extern "_"] opaque _aux_Init_System_IO___macroRules_termPrintln!___1 : Lean.Macro
@[macro «term‹_›», extern "_"] opaque «_aux_Init_Tactics___macroRules_term‹_›_1» : Lean.Macro
@[macro «term∎», extern "_"] opaque «_aux_Init_Try___macroRules_term∎_1» : Lean.Macro
