module

prelude
public import LeanWorker.Prelude.Notation
public meta import LeanWorker.Prelude.Notation
/-! The tactics of Init.

Written by ci/generate-embedded for Lean 4.35.0 (eb6cafb7290e8bd5f2937522d8d804f58f02bafc): change nothing by hand. -/

public meta section
set_option linter.all false

declare_syntax_cat rcasesPat
declare_syntax_cat rintroPat
declare_syntax_cat conv (behavior := both)
@[tactic_parser, extern "_"] opaque Array.tacticArray_get_dec : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Array.tacticArray_mem_dec : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Elab.Tactic.Ext.applyExtTheorem : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Elab.Tactic.Ext.ext : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Elab.Tactic.Ext.tacticExt1___ : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.allGoals : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.anyGoals : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.arg : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.case : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.case' : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.change : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.clear : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.congr : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.conv : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convApply_ : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convArgs : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convConvSeq : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convDone : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convErw__ : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convIntro___ : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convLeft : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.«convNext__=>_» : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convRepeat_ : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convRfl : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convRight : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convRw__ : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convTactic : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convTrace_state : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.convTry_ : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.«conv_<;>_» : Lean.TrailingParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.«conv·_» : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.delta : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.dsimp : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.dsimpTrace : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.enter : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.ext : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.extractLets : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.failIfSuccess : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.«first» : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.focus : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.«fun» : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.letToHave : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.lhs : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.liftLets : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.nestedConv : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.nestedTactic : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.nestedTacticCore : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.paren : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.pattern : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.reduce : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.rewrite : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.rhs : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.simp : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.simpMatch : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.simpTrace : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.skip : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.unfold : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.whnf : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.Parser.Tactic.Conv.zeta : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.acNf0 : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.acRfl : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.allGoals : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.anyGoals : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.apply : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.apply? : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.applyAssumption : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.applyRfl : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.applyRules : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.as_aux_lemma : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.assumption : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.by? : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.case : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.case' : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.cases : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.cbv : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.change : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.classical : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.clear : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.clearValue : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.congr : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.constructor : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.constructorBang : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.contradiction : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.dbgTrace : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.decide : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.decide_cbv : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.declareSimpLikeTactic : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.delta : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.done : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.dsimp : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.dsimpAutoUnfold : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.dsimpTrace : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.eqRefl : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.«exact» : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.exact? : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.extractLets : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.fail : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.failIfSuccess : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.falseOrByContra : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.«first» : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.firstPar : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.focus : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.funCases : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.funInduction : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.generalize : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.guardExpr : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.guardExprConv : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.guardHyp : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.guardHypConv : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.guardTarget : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.guardTargetConv : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.impossible : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.induction : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.injection : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.injections : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.intro : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.intros : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.left : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.letToHave : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.letrec : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.liftLets : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.nativeDecide : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.normCast0 : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.normCastAddElim : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.obtain : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.omega : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.paren : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.pushCast : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rcases : Lean.ParserDescr
@[rcasesPat_parser, extern "_"] opaque Lean.Parser.Tactic.rcasesPat.clear : Lean.ParserDescr
@[rcasesPat_parser, extern "_"] opaque Lean.Parser.Tactic.rcasesPat.explicit : Lean.ParserDescr
@[rcasesPat_parser, extern "_"] opaque Lean.Parser.Tactic.rcasesPat.ignore : Lean.ParserDescr
@[rcasesPat_parser, extern "_"] opaque Lean.Parser.Tactic.rcasesPat.one : Lean.ParserDescr
@[rcasesPat_parser, extern "_"] opaque Lean.Parser.Tactic.rcasesPat.paren : Lean.ParserDescr
@[rcasesPat_parser, extern "_"] opaque Lean.Parser.Tactic.rcasesPat.tuple : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.refine : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.refine' : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rename : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.renameI : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.repeat' : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.repeat1' : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.replace : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.revert : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rewriteSeq : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rewrites? : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.right : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rintro : Lean.ParserDescr
@[rintroPat_parser, extern "_"] opaque Lean.Parser.Tactic.rintroPat.binder : Lean.ParserDescr
@[rintroPat_parser, extern "_"] opaque Lean.Parser.Tactic.rintroPat.one : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rotateLeft : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rotateRight : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.runTac : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rwSeq : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rwa : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rwaAt : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.rwaAtLegacyLocation : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.«show» : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.showTerm : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.showTermElab : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simp : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpAll : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpAllArith : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpAllArithBang : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpAllAutoUnfold : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpAllTrace : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpArith : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpArithBang : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpAutoUnfold : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpTrace : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpa : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.simpaUsingBang : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.skip : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.sleep : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.solveByElim : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.specialize : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.split : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.subst : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.substEqs : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.substVars : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.symm : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.symmSaturate : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacDepIfThenElse : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacIfThenElse : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticAc_nf_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticAdmit : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticAnd_intros : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticApply_mod_cast_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticAssumption_mod_cast_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticBv_omega : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticDsimp?!_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticErw___ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticExact_mod_cast_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticExfalso : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.«tacticExists_,,» : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticHave' : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticHaveI__ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticHave__ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticInfer_instance : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticIterate____ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticLet'__ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticLetI__ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticLet__ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.«tacticNext_=>_» : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticNofun : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.«tacticNomatch_,,» : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticNorm_cast__ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticRefine_lift'_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticRefine_lift_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticRepeat_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticRfl : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticRfl' : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticRw_mod_cast___ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimp?!_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimp_all?!_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimpa!_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimpa!__1 : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimpa?!_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimpa?!__1 : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimpa?_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSimpa?__1 : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSorry : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticStop_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticSuffices_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticTrivial : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticTry_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.tacticUnhygienic_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.«tactic_<;>_» : Lean.TrailingParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.traceMessage : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.traceState : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.unfold : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.withImplicit : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.withReducible : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.withReducibleAndInstances : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.withUnfoldingAll : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.Parser.Tactic.withUnfoldingNone : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.calcTactic : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.cdot : Lean.ParserDescr
@[conv_parser, extern "_"] opaque Lean.convCalc_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque Lean.solveTactic : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque List.tacticSizeOf_list_dec : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque «tacticBy_cases_:_» : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticClean_wf : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticDecreasing_tactic : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticDecreasing_trivial : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticDecreasing_trivial_pre_omega : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticDecreasing_with_ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticFunext___ : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticGet_elem_tactic : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticGet_elem_tactic_extensible : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticGet_elem_tactic_trivial : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque tacticSimp_wf : Lean.ParserDescr
@[tactic_parser, extern "_"] opaque «tactic∎» : Lean.ParserDescr
@[macro Array.tacticArray_get_dec, extern "_"] opaque Array._aux_Init_Data_Array_Mem___macroRules_Array_tacticArray_get_dec_1 : Lean.Macro
@[macro Array.tacticArray_mem_dec, extern "_"] opaque Array._aux_Init_Data_Array_Mem___macroRules_Array_tacticArray_mem_dec_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque Array._aux_Init_Data_Array_Mem___macroRules_tacticDecreasing_trivial_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque Array._aux_Init_Data_Array_Mem___macroRules_tacticDecreasing_trivial_2 : Lean.Macro
@[macro tacticGet_elem_tactic_extensible, extern "_"] opaque Fin._aux_Init_GetElem___macroRules_tacticGet_elem_tactic_extensible_1 : Lean.Macro
@[macro Lean.Elab.Tactic.Ext.tacticExt1___, extern "_"] opaque Lean.Elab.Tactic.Ext._aux_Init_Ext___macroRules_Lean_Elab_Tactic_Ext_tacticExt1____1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.allGoals, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_allGoals_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.anyGoals, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_anyGoals_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.case, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_case_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.case', extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_case'_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convApply_, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convApply__1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convArgs, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convArgs_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convDone, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convDone_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convErw__, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convErw___1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convIntro___, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convIntro____1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convLeft, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convLeft_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.«convNext__=>_», extern "_"] opaque Lean.Parser.Tactic.Conv.«_aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convNext__=>__1» : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convRepeat_, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convRepeat__1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convRfl, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convRfl_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convRight, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convRight_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convRw__, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convRw___1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convTrace_state, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convTrace_state_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.convTry_, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_convTry__1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.«conv_<;>_», extern "_"] opaque Lean.Parser.Tactic.Conv.«_aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_conv_<;>__1» : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.«conv·_», extern "_"] opaque Lean.Parser.Tactic.Conv.«_aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_conv·__1» : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.failIfSuccess, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_failIfSuccess_1 : Lean.Macro
@[macro Lean.Parser.Tactic.Conv.focus, extern "_"] opaque Lean.Parser.Tactic.Conv._aux_Init_Conv___macroRules_Lean_Parser_Tactic_Conv_focus_1 : Lean.Macro
@[macro Lean.Parser.Tactic.constructorBang, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Meta___macroRules_Lean_Parser_Tactic_constructorBang_1 : Lean.Macro
@[macro Lean.Parser.Tactic.declareSimpLikeTactic, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Meta___macroRules_Lean_Parser_Tactic_declareSimpLikeTactic_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticErw___, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Meta___macroRules_Lean_Parser_Tactic_tacticErw____1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacDepIfThenElse, extern "_"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacDepIfThenElse_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacIfThenElse, extern "_"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacIfThenElse_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticApply_mod_cast_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacticApply_mod_cast__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticExact_mod_cast_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacticExact_mod_cast__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticIterate____, extern "_"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacticIterate_____1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRw_mod_cast___, extern "_"] opaque Lean.Parser.Tactic._aux_Init_TacticsExtra___macroRules_Lean_Parser_Tactic_tacticRw_mod_cast____1 : Lean.Macro
@[macro Lean.Parser.Tactic.by?, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_by?_1 : Lean.Macro
@[macro Lean.Parser.Tactic.letrec, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_letrec_1 : Lean.Macro
@[macro Lean.Parser.Tactic.rwSeq, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_rwSeq_1 : Lean.Macro
@[macro Lean.Parser.Tactic.rwaAtLegacyLocation, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_rwaAtLegacyLocation_1 : Lean.Macro
@[macro Lean.Parser.Tactic.showTermElab, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_showTermElab_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticAc_nf_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticAc_nf__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticAdmit, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticAdmit_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticAnd_intros, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticAnd_intros_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticAssumption_mod_cast_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticAssumption_mod_cast__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticBv_omega, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticBv_omega_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticDsimp?!_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticDsimp?!__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticExfalso, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticExfalso_1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tacticExists_,,», extern "_"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticExists_,,_1» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticHaveI__, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticHaveI___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticHave__, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticHave___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticHave', extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticHave'_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticInfer_instance, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticInfer_instance_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticLetI__, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticLetI___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticLet__, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticLet___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticLet'__, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticLet'___1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tacticNext_=>_», extern "_"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticNext_=>__1» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticNofun, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticNofun_1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tacticNomatch_,,», extern "_"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticNomatch_,,_1» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticNorm_cast__, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticNorm_cast___1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRefine_lift_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRefine_lift__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRefine_lift'_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRefine_lift'__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl_2 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl_3 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl', extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticRfl'_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimp_all?!_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimp_all?!__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimp?!_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimp?!__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimpa!_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimpa!__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimpa!__1, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimpa!__1_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimpa?_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimpa?__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimpa?__1, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimpa?__1_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimpa?!_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimpa?!__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSimpa?!__1, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSimpa?!__1_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSorry, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSorry_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticStop_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticStop__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticSuffices_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticSuffices__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_2 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_3 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_4 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_5 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTrivial, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTrivial_6 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticTry_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticTry__1 : Lean.Macro
@[macro Lean.Parser.Tactic.tacticUnhygienic_, extern "_"] opaque Lean.Parser.Tactic._aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tacticUnhygienic__1 : Lean.Macro
@[macro Lean.Parser.Tactic.«tactic_<;>_», extern "_"] opaque Lean.Parser.Tactic.«_aux_Init_Tactics___macroRules_Lean_Parser_Tactic_tactic_<;>__1» : Lean.Macro
@[macro Lean.convCalc_, extern "_"] opaque Lean._aux_Init_NotationExtra___macroRules_Lean_convCalc__1 : Lean.Macro
@[macro Lean.solveTactic, extern "_"] opaque Lean._aux_Init_NotationExtra___macroRules_Lean_solveTactic_1 : Lean.Macro
@[macro List.tacticSizeOf_list_dec, extern "_"] opaque List._aux_Init_Data_List_BasicAux___macroRules_List_tacticSizeOf_list_dec_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque List._aux_Init_Data_List_BasicAux___macroRules_tacticDecreasing_trivial_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque Std._aux_Init_Data_Iterators_Basic___macroRules_tacticDecreasing_trivial_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque Std._aux_Init_Data_Iterators_Basic___macroRules_tacticDecreasing_trivial_2 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque Std._aux_Init_Data_Iterators_Basic___macroRules_tacticDecreasing_trivial_3 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque Std._aux_Init_Data_Iterators_Basic___macroRules_tacticDecreasing_trivial_4 : Lean.Macro
@[macro tacticGet_elem_tactic_extensible, extern "_"] opaque Std._aux_Init_Data_Range_Polymorphic_Basic___macroRules_tacticGet_elem_tactic_extensible_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque String.Legacy.Iterator._aux_Init_Data_String_Iterator___macroRules_tacticDecreasing_trivial_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque String.Legacy.Iterator._aux_Init_Data_String_Iterator___macroRules_tacticDecreasing_trivial_2 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque String._aux_Init_Data_String_Termination___macroRules_tacticDecreasing_trivial_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque String._aux_Init_Data_String_Termination___macroRules_tacticDecreasing_trivial_2 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque String._aux_Init_Data_String_Termination___macroRules_tacticDecreasing_trivial_3 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque String._aux_Init_Data_String_Termination___macroRules_tacticDecreasing_trivial_4 : Lean.Macro
@[macro «tacticBy_cases_:_», extern "_"] opaque «_aux_Init_ByCases___macroRules_tacticBy_cases_:__1» : Lean.Macro
@[macro «tacticBy_cases_:_», extern "_"] opaque «_aux_Init_ByCases___macroRules_tacticBy_cases_:__2» : Lean.Macro
@[macro Lean.Parser.Tactic.tacticRfl, extern "_"] opaque _aux_Init_Core___macroRules_Lean_Parser_Tactic_tacticRfl_1 : Lean.Macro
@[macro tacticGet_elem_tactic_extensible, extern "_"] opaque _aux_Init_Data_Range_Basic___macroRules_tacticGet_elem_tactic_extensible_1 : Lean.Macro
@[macro tacticGet_elem_tactic_extensible, extern "_"] opaque _aux_Init_Data_Range_Polymorphic_GetElemTactic___macroRules_tacticGet_elem_tactic_extensible_1 : Lean.Macro
@[macro tacticFunext___, extern "_"] opaque _aux_Init_NotationExtra___macroRules_tacticFunext____1 : Lean.Macro
@[macro tacticGet_elem_tactic, extern "_"] opaque _aux_Init_Tactics___macroRules_tacticGet_elem_tactic_1 : Lean.Macro
@[macro tacticGet_elem_tactic_extensible, extern "_"] opaque _aux_Init_Tactics___macroRules_tacticGet_elem_tactic_extensible_1 : Lean.Macro
@[macro tacticGet_elem_tactic_extensible, extern "_"] opaque _aux_Init_Tactics___macroRules_tacticGet_elem_tactic_extensible_2 : Lean.Macro
@[macro tacticGet_elem_tactic_extensible, extern "_"] opaque _aux_Init_Tactics___macroRules_tacticGet_elem_tactic_extensible_3 : Lean.Macro
@[macro «tactic∎», extern "_"] opaque «_aux_Init_Try___macroRules_tactic∎_1» : Lean.Macro
@[macro tacticClean_wf, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticClean_wf_1 : Lean.Macro
@[macro tacticDecreasing_tactic, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_tactic_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_1 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_2 : Lean.Macro
@[macro tacticDecreasing_trivial, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_3 : Lean.Macro
@[macro tacticDecreasing_trivial_pre_omega, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_pre_omega_1 : Lean.Macro
@[macro tacticDecreasing_trivial_pre_omega, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_pre_omega_2 : Lean.Macro
@[macro tacticDecreasing_trivial_pre_omega, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_trivial_pre_omega_3 : Lean.Macro
@[macro tacticDecreasing_with_, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticDecreasing_with__1 : Lean.Macro
@[macro tacticSimp_wf, extern "_"] opaque _aux_Init_WFTactics___macroRules_tacticSimp_wf_1 : Lean.Macro
