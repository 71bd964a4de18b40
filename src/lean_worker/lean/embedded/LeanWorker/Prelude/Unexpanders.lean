module

prelude
public import LeanWorker.Prelude.Macros
public meta import LeanWorker.Prelude.Macros
/-! How Init prints its notation.

Written by ci/generate-embedded for Lean 4.35.0 (eb6cafb7290e8bd5f2937522d8d804f58f02bafc): change nothing by hand. -/

public meta section
set_option linter.all false

@[app_unexpander Bind.bindLeft, extern "_"] opaque _aux_Init_Control_Basic___unexpand_Bind_bindLeft_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bind.kleisliLeft, extern "_"] opaque _aux_Init_Control_Basic___unexpand_Bind_kleisliLeft_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bind.kleisliRight, extern "_"] opaque _aux_Init_Control_Basic___unexpand_Bind_kleisliRight_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Functor.mapRev, extern "_"] opaque _aux_Init_Control_Basic___unexpand_Functor_mapRev_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander andM, extern "_"] opaque _aux_Init_Control_Basic___unexpand_andM_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander orM, extern "_"] opaque _aux_Init_Control_Basic___unexpand_orM_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander EmptyCollection.emptyCollection, extern "_"] opaque _aux_Init_Core___unexpand_EmptyCollection_emptyCollection_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander EmptyCollection.emptyCollection, extern "_"] opaque _aux_Init_Core___unexpand_EmptyCollection_emptyCollection_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HasEquiv.Equiv, extern "_"] opaque _aux_Init_Core___unexpand_HasEquiv_Equiv_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HasSSubset.SSubset, extern "_"] opaque _aux_Init_Core___unexpand_HasSSubset_SSubset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HasSubset.Subset, extern "_"] opaque _aux_Init_Core___unexpand_HasSubset_Subset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Iff, extern "_"] opaque _aux_Init_Core___unexpand_Iff_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Iff, extern "_"] opaque _aux_Init_Core___unexpand_Iff_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Inter.inter, extern "_"] opaque _aux_Init_Core___unexpand_Inter_inter_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Ne, extern "_"] opaque _aux_Init_Core___unexpand_Ne_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander PSum, extern "_"] opaque _aux_Init_Core___unexpand_PSum_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander SDiff.sdiff, extern "_"] opaque _aux_Init_Core___unexpand_SDiff_sdiff_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander SSuperset, extern "_"] opaque _aux_Init_Core___unexpand_SSuperset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Sum, extern "_"] opaque _aux_Init_Core___unexpand_Sum_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Superset, extern "_"] opaque _aux_Init_Core___unexpand_Superset_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Union.union, extern "_"] opaque _aux_Init_Core___unexpand_Union_union_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander bne, extern "_"] opaque _aux_Init_Core___unexpand_bne_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander And, extern "_"] opaque _aux_Init_Notation___unexpand_And_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander BEq.beq, extern "_"] opaque _aux_Init_Notation___unexpand_BEq_beq_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bind.bind, extern "_"] opaque _aux_Init_Notation___unexpand_Bind_bind_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bool.and, extern "_"] opaque _aux_Init_Notation___unexpand_Bool_and_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bool.not, extern "_"] opaque _aux_Init_Notation___unexpand_Bool_not_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Bool.or, extern "_"] opaque _aux_Init_Notation___unexpand_Bool_or_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Complement.complement, extern "_"] opaque _aux_Init_Notation___unexpand_Complement_complement_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Dvd.dvd, extern "_"] opaque _aux_Init_Notation___unexpand_Dvd_dvd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Eq, extern "_"] opaque _aux_Init_Notation___unexpand_Eq_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Function.comp, extern "_"] opaque _aux_Init_Notation___unexpand_Function_comp_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Functor.map, extern "_"] opaque _aux_Init_Notation___unexpand_Functor_map_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander GE.ge, extern "_"] opaque _aux_Init_Notation___unexpand_GE_ge_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander GE.ge, extern "_"] opaque _aux_Init_Notation___unexpand_GE_ge_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander GT.gt, extern "_"] opaque _aux_Init_Notation___unexpand_GT_gt_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HAdd.hAdd, extern "_"] opaque _aux_Init_Notation___unexpand_HAdd_hAdd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HAnd.hAnd, extern "_"] opaque _aux_Init_Notation___unexpand_HAnd_hAnd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HAppend.hAppend, extern "_"] opaque _aux_Init_Notation___unexpand_HAppend_hAppend_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HDiv.hDiv, extern "_"] opaque _aux_Init_Notation___unexpand_HDiv_hDiv_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HEq, extern "_"] opaque _aux_Init_Notation___unexpand_HEq_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HMod.hMod, extern "_"] opaque _aux_Init_Notation___unexpand_HMod_hMod_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HMul.hMul, extern "_"] opaque _aux_Init_Notation___unexpand_HMul_hMul_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HOr.hOr, extern "_"] opaque _aux_Init_Notation___unexpand_HOr_hOr_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HPow.hPow, extern "_"] opaque _aux_Init_Notation___unexpand_HPow_hPow_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HSMul.hSMul, extern "_"] opaque _aux_Init_Notation___unexpand_HSMul_hSMul_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HShiftLeft.hShiftLeft, extern "_"] opaque _aux_Init_Notation___unexpand_HShiftLeft_hShiftLeft_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HShiftRight.hShiftRight, extern "_"] opaque _aux_Init_Notation___unexpand_HShiftRight_hShiftRight_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HSub.hSub, extern "_"] opaque _aux_Init_Notation___unexpand_HSub_hSub_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander HXor.hXor, extern "_"] opaque _aux_Init_Notation___unexpand_HXor_hXor_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Inv.inv, extern "_"] opaque _aux_Init_Notation___unexpand_Inv_inv_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander LE.le, extern "_"] opaque _aux_Init_Notation___unexpand_LE_le_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander LE.le, extern "_"] opaque _aux_Init_Notation___unexpand_LE_le_2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander LT.lt, extern "_"] opaque _aux_Init_Notation___unexpand_LT_lt_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander List.cons, extern "_"] opaque _aux_Init_Notation___unexpand_List_cons_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Membership.mem, extern "_"] opaque _aux_Init_Notation___unexpand_Membership_mem_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Neg.neg, extern "_"] opaque _aux_Init_Notation___unexpand_Neg_neg_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Not, extern "_"] opaque _aux_Init_Notation___unexpand_Not_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Or, extern "_"] opaque _aux_Init_Notation___unexpand_Or_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander PProd, extern "_"] opaque _aux_Init_Notation___unexpand_PProd_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Prod, extern "_"] opaque _aux_Init_Notation___unexpand_Prod_1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.empty, extern "_"] opaque unexpandArrayEmpty : Lean.PrettyPrinter.Unexpander
@[app_unexpander Eq.ndrec, extern "_"] opaque unexpandEqNDRec : Lean.PrettyPrinter.Unexpander
@[app_unexpander Eq.rec, extern "_"] opaque unexpandEqRec : Lean.PrettyPrinter.Unexpander
@[app_unexpander Exists, extern "_"] opaque unexpandExists : Lean.PrettyPrinter.Unexpander
@[app_unexpander GetElem.getElem, extern "_"] opaque unexpandGetElem : Lean.PrettyPrinter.Unexpander
@[app_unexpander GetElem?.getElem!, extern "_"] opaque unexpandGetElem! : Lean.PrettyPrinter.Unexpander
@[app_unexpander GetElem?.getElem?, extern "_"] opaque unexpandGetElem? : Lean.PrettyPrinter.Unexpander
@[app_unexpander ite, extern "_"] opaque unexpandIte : Lean.PrettyPrinter.Unexpander
@[app_unexpander List.cons, extern "_"] opaque unexpandListCons : Lean.PrettyPrinter.Unexpander
@[app_unexpander List.nil, extern "_"] opaque unexpandListNil : Lean.PrettyPrinter.Unexpander
@[app_unexpander List.toArray, extern "_"] opaque unexpandListToArray : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray0, extern "_"] opaque unexpandMkArray0 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray1, extern "_"] opaque unexpandMkArray1 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray2, extern "_"] opaque unexpandMkArray2 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray3, extern "_"] opaque unexpandMkArray3 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray4, extern "_"] opaque unexpandMkArray4 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray5, extern "_"] opaque unexpandMkArray5 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray6, extern "_"] opaque unexpandMkArray6 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray7, extern "_"] opaque unexpandMkArray7 : Lean.PrettyPrinter.Unexpander
@[app_unexpander Array.mkArray8, extern "_"] opaque unexpandMkArray8 : Lean.PrettyPrinter.Unexpander
@[app_unexpander PSigma, extern "_"] opaque unexpandPSigma : Lean.PrettyPrinter.Unexpander
@[app_unexpander Prod.mk, extern "_"] opaque unexpandProdMk : Lean.PrettyPrinter.Unexpander
@[app_unexpander Sigma, extern "_"] opaque unexpandSigma : Lean.PrettyPrinter.Unexpander
@[app_unexpander Subtype, extern "_"] opaque unexpandSubtype : Lean.PrettyPrinter.Unexpander
@[app_unexpander Lean.Syntax.TSepArray, extern "_"] opaque unexpandTSepArray : Lean.PrettyPrinter.Unexpander
@[app_unexpander Lean.TSyntax, extern "_"] opaque unexpandTSyntax : Lean.PrettyPrinter.Unexpander
@[app_unexpander Lean.TSyntaxArray, extern "_"] opaque unexpandTSyntaxArray : Lean.PrettyPrinter.Unexpander
@[app_unexpander Unit.unit, extern "_"] opaque unexpandUnit : Lean.PrettyPrinter.Unexpander
