module

prelude
public import LeanWorker.Prelude.Simp
public meta import LeanWorker.Prelude.Macros
/-! Theorems about numbers and lists, and what well-founded recursion is checked with. -/

@[expose] public section

set_option linter.all false
set_option autoImplicit true

universe u v w

/-! ## Natural numbers -/

@[induction_eliminator, elab_as_elim] protected def Nat.recAux {motive : Nat → Sort u} (zero : motive 0)
    (succ : ∀ n, motive n → motive (n + 1)) (t : Nat) : motive t := match t with
  | 0 => zero
  | n+1 => succ n (Nat.recAux zero succ n)
@[cases_eliminator, elab_as_elim] protected abbrev Nat.casesAuxOn {motive : Nat → Sort u} (t : Nat) (zero : motive 0)
    (succ : (n : Nat) → motive (n + 1)) : motive t := match t with
  | 0 => zero
  | n+1 => succ n
namespace Nat
@[simp] theorem add_zero (n : Nat) : n + 0 = n := rfl
theorem add_succ (n m : Nat) : n + succ m = succ (n + m) := rfl
theorem add_one (n : Nat) : n + 1 = succ n := rfl
theorem succ_eq_add_one (n : Nat) : succ n = n + 1 := rfl
@[simp] theorem zero_eq : Nat.zero = 0 := rfl
@[simp] protected theorem zero_add (n : Nat) : 0 + n = n := Nat.rec rfl (fun _ ih => congrArg succ ih) n
theorem succ_add (n m : Nat) : succ n + m = succ (n + m) := Nat.rec rfl (fun _ ih => congrArg succ ih) m
protected theorem add_comm (n m : Nat) : n + m = m + n :=
  Nat.rec (motive := fun m => n + m = m + n) (Nat.zero_add n).symm (fun m ih => by rw [succ_add, add_succ, ih]) m
protected theorem add_assoc (n m k : Nat) : (n + m) + k = n + (m + k) := Nat.rec rfl (fun _ ih => congrArg succ ih) k
protected theorem add_left_comm (n m k : Nat) : n + (m + k) = m + (n + k) := by rw [← Nat.add_assoc, Nat.add_comm n m, Nat.add_assoc]
protected theorem add_right_comm (n m k : Nat) : (n + m) + k = (n + k) + m := by rw [Nat.add_assoc, Nat.add_comm m k, ← Nat.add_assoc]
@[simp] protected theorem mul_zero (n : Nat) : n * 0 = 0 := rfl
theorem mul_succ (n m : Nat) : n * succ m = n * m + n := rfl
theorem mul_add_one (n m : Nat) : n * (m + 1) = n * m + n := rfl
@[simp] protected theorem zero_mul (n : Nat) : 0 * n = 0 := Nat.rec rfl (fun n ih => by rw [mul_succ, ih]) n
theorem succ_mul (n m : Nat) : (succ n) * m = (n * m) + m :=
  Nat.rec rfl (fun m ih => by rw [mul_succ, mul_succ, ih, add_succ, add_succ, Nat.add_right_comm]) m
theorem add_one_mul (n m : Nat) : (n + 1) * m = (n * m) + m := succ_mul n m
protected theorem mul_comm (n m : Nat) : n * m = m * n :=
  Nat.rec (motive := fun m => n * m = m * n) (Nat.zero_mul n).symm (fun m ih => by rw [mul_succ, succ_mul, ih]) m
@[simp] protected theorem mul_one (n : Nat) : n * 1 = n := Nat.zero_add n
@[simp] protected theorem one_mul (n : Nat) : 1 * n = n := by rw [Nat.mul_comm, Nat.mul_one]
protected theorem left_distrib (n m k : Nat) : n * (m + k) = n * m + n * k :=
  Nat.rec rfl (fun k ih => by rw [add_succ, mul_succ, ih, mul_succ, Nat.add_assoc]) k
protected theorem mul_add (n m k : Nat) : n * (m + k) = n * m + n * k := Nat.left_distrib n m k
protected theorem right_distrib (n m k : Nat) : (n + m) * k = n * k + m * k := by
  rw [Nat.mul_comm, Nat.left_distrib, Nat.mul_comm k n, Nat.mul_comm k m]
protected theorem add_mul (n m k : Nat) : (n + m) * k = n * k + m * k := Nat.right_distrib n m k
protected theorem mul_assoc (n m k : Nat) : (n * m) * k = n * (m * k) :=
  Nat.rec rfl (fun k ih => by rw [mul_succ, mul_succ, Nat.left_distrib, ih]) k
protected theorem mul_left_comm (n m k : Nat) : n * (m * k) = m * (n * k) := by rw [← Nat.mul_assoc, Nat.mul_comm n m, Nat.mul_assoc]
protected theorem two_mul (n : Nat) : 2 * n = n + n := by rw [Nat.mul_comm]; exact congrArg (· + n) (Nat.zero_add n)
@[simp] protected theorem pow_zero (b : Nat) : b ^ 0 = 1 := rfl
theorem pow_succ (b n : Nat) : b ^ (n + 1) = b ^ n * b := rfl
@[simp] protected theorem sub_zero (n : Nat) : n - 0 = n := rfl
@[simp] protected theorem zero_sub (n : Nat) : 0 - n = 0 := Nat.rec rfl (fun _ ih => congrArg pred ih) n
@[simp] protected theorem sub_self (n : Nat) : n - n = 0 := Nat.rec rfl (fun n ih => (succ_sub_succ_eq_sub n n).trans ih) n
@[simp] theorem pred_zero : pred 0 = 0 := rfl
@[simp] theorem pred_succ (n : Nat) : pred (succ n) = n := rfl
theorem sub_succ (n m : Nat) : n - succ m = pred (n - m) := rfl
theorem succ_sub_one (n : Nat) : succ n - 1 = n := rfl
@[simp] theorem add_one_sub_one (n : Nat) : n + 1 - 1 = n := rfl
theorem succ_ne_zero (n : Nat) : succ n ≠ 0 := fun h => nomatch h
@[simp] theorem add_one_ne_zero (n : Nat) : n + 1 ≠ 0 := fun h => nomatch h
theorem succ.inj' {m n : Nat} (h : succ m = succ n) : m = n := congrArg pred h
theorem succ_inj : succ a = succ b ↔ a = b := ⟨succ.inj', congrArg succ⟩
protected theorem add_left_cancel {n m k : Nat} : n + m = n + k → m = k :=
  Nat.rec (motive := fun n => n + m = n + k → m = k) (fun h => by rw [Nat.zero_add, Nat.zero_add] at h; exact h)
    (fun n ih h => by rw [succ_add, succ_add] at h; exact ih (succ.inj' h)) n
protected theorem add_right_cancel {n m k : Nat} (h : n + m = k + m) : n = k := by
  rw [Nat.add_comm n m, Nat.add_comm k m] at h; exact Nat.add_left_cancel h
@[simp] protected theorem add_left_cancel_iff {m k n : Nat} : n + m = n + k ↔ m = k := ⟨Nat.add_left_cancel, fun h => h ▸ rfl⟩
@[simp] protected theorem add_right_cancel_iff {m k n : Nat} : m + n = k + n ↔ m = k := ⟨Nat.add_right_cancel, fun h => h ▸ rfl⟩

/-! Order. -/

theorem le_add_right : (n k : Nat) → n ≤ n + k
  | n, 0 => Nat.le_refl n
  | n, k+1 => le_succ_of_le (le_add_right n k)
theorem le_add_left (n m : Nat) : n ≤ m + n := by rw [Nat.add_comm]; exact le_add_right n m
theorem le.dest : {n m : Nat} → n ≤ m → ∃ k, n + k = m
  | n, _, .refl => ⟨0, rfl⟩
  | _, _, .step h => let ⟨k, hk⟩ := le.dest h; ⟨k + 1, congrArg succ hk⟩
theorem le.intro {n m k : Nat} (h : n + k = m) : n ≤ m := h ▸ le_add_right n k
protected theorem le_antisymm {n m : Nat} (h₁ : n ≤ m) (h₂ : m ≤ n) : n = m :=
  match Nat.lt_or_eq_of_le h₁ with
  | .inl h => absurd (Nat.lt_of_lt_of_le h h₂) (Nat.lt_irrefl n)
  | .inr h => h
protected theorem lt_or_ge (n m : Nat) : n < m ∨ n ≥ m := match Nat.decLt n m with
  | isTrue h => .inl h
  | isFalse h => .inr (le_of_lt_succ (lt_of_not_le fun k => h (le_of_succ_le_succ (lt_succ_of_le' k))))
where lt_succ_of_le' {a b : Nat} (h : a + 1 ≤ b) : a + 1 + 0 < b + 1 := succ_le_succ h
protected theorem le_of_not_lt {a b : Nat} (h : ¬b < a) : a ≤ b := (Nat.lt_or_ge b a).resolve_left h
protected theorem not_le {n m : Nat} : ¬n ≤ m ↔ m < n := ⟨lt_of_not_le, fun h k => absurd (Nat.lt_of_lt_of_le h k) (Nat.lt_irrefl _)⟩
protected theorem not_lt {n m : Nat} : ¬n < m ↔ m ≤ n := ⟨Nat.le_of_not_lt, fun h k => absurd (Nat.lt_of_lt_of_le k h) (Nat.lt_irrefl _)⟩
protected theorem not_le_of_gt {n m : Nat} (h : n > m) : ¬n ≤ m := Nat.not_le.2 h
protected theorem not_lt_of_ge {n m : Nat} (h : n ≥ m) : ¬n < m := Nat.not_lt.2 h
protected theorem le_total (m n : Nat) : m ≤ n ∨ n ≤ m := (Nat.lt_or_ge m n).imp le_of_lt id
protected theorem lt_of_le_of_ne {n m : Nat} (h₁ : n ≤ m) (h₂ : n ≠ m) : n < m := (lt_or_eq_of_le h₁).resolve_right h₂
protected theorem ne_of_lt {a b : Nat} (h : a < b) : a ≠ b := fun e => absurd (e ▸ h) (Nat.lt_irrefl a)
protected theorem ne_of_gt {a b : Nat} (h : b < a) : a ≠ b := fun e => Nat.ne_of_lt h e.symm
protected theorem lt_asymm {a b : Nat} (h : a < b) : ¬b < a := Nat.not_lt.2 (le_of_lt h)
theorem lt_iff_le_not_le {m n : Nat} : m < n ↔ m ≤ n ∧ ¬n ≤ m := ⟨fun h => ⟨le_of_lt h, Nat.not_le.2 h⟩, fun h => Nat.not_le.1 h.2⟩
theorem lt_succ_of_le {n m : Nat} (h : n ≤ m) : n < succ m := succ_le_succ h
theorem lt_succ_iff {m n : Nat} : m < succ n ↔ m ≤ n := ⟨le_of_lt_succ, lt_succ_of_le⟩
theorem lt_add_one_iff {m n : Nat} : m < n + 1 ↔ m ≤ n := lt_succ_iff
@[simp] theorem lt_add_one (n : Nat) : n < n + 1 := Nat.le.refl
theorem lt_of_succ_le {n m : Nat} (h : succ n ≤ m) : n < m := h
theorem succ_le_of_lt {n m : Nat} (h : n < m) : succ n ≤ m := h
theorem add_one_le_of_lt {n m : Nat} (h : n < m) : n + 1 ≤ m := h
theorem succ_le_iff {m n : Nat} : succ m ≤ n ↔ m < n := Iff.rfl
theorem lt_of_succ_lt_succ {n m : Nat} : succ n < succ m → n < m := le_of_succ_le_succ
theorem succ_lt_succ {n m : Nat} : n < m → succ n < succ m := succ_le_succ
@[simp] theorem zero_lt_succ' (n : Nat) : 0 < n + 1 := zero_lt_succ n
theorem eq_zero_of_le_zero {n : Nat} (h : n ≤ 0) : n = 0 := Nat.le_antisymm h (Nat.zero_le n)
@[simp] theorem le_zero_eq (i : Nat) : (i ≤ 0) = (i = 0) := propext ⟨eq_zero_of_le_zero, fun h => h ▸ Nat.le_refl _⟩
theorem pos_iff_ne_zero {n : Nat} : 0 < n ↔ n ≠ 0 := ⟨fun h e => absurd (e ▸ h) (Nat.lt_irrefl 0), Nat.pos_of_ne_zero⟩
theorem ne_zero_of_lt {a b : Nat} (h : b < a) : a ≠ 0 := fun e => Nat.not_lt_zero b (e ▸ h)
theorem eq_zero_or_pos : (n : Nat) → n = 0 ∨ n > 0
  | 0 => .inl rfl
  | n+1 => .inr (zero_lt_succ n)
protected theorem add_le_add_left {n m : Nat} (h : n ≤ m) (k : Nat) : k + n ≤ k + m := by
  let ⟨w, hw⟩ := le.dest h; exact le.intro (k := w) (by rw [Nat.add_assoc, hw])
protected theorem add_le_add_right {n m : Nat} (h : n ≤ m) (k : Nat) : n + k ≤ m + k := by
  rw [Nat.add_comm n k, Nat.add_comm m k]; exact Nat.add_le_add_left h k
protected theorem add_le_add {a b c d : Nat} (h₁ : a ≤ b) (h₂ : c ≤ d) : a + c ≤ b + d :=
  Nat.le_trans (Nat.add_le_add_right h₁ c) (Nat.add_le_add_left h₂ b)
protected theorem add_lt_add_left {n m : Nat} (h : n < m) (k : Nat) : k + n < k + m := Nat.add_le_add_left (n := n + 1) h k
protected theorem add_lt_add_right {n m : Nat} (h : n < m) (k : Nat) : n + k < m + k := by
  rw [Nat.add_comm n k, Nat.add_comm m k]; exact Nat.add_lt_add_left h k
protected theorem lt_add_of_pos_right {n k : Nat} (h : 0 < k) : n < n + k := Nat.add_lt_add_left h n
protected theorem lt_add_of_pos_left {n k : Nat} (h : 0 < k) : n < k + n := by rw [Nat.add_comm]; exact Nat.lt_add_of_pos_right h
protected theorem le_of_add_le_add_left {a b c : Nat} (h : a + b ≤ a + c) : b ≤ c := by
  let ⟨k, hk⟩ := le.dest h; rw [Nat.add_assoc] at hk; exact le.intro (Nat.add_left_cancel hk)
protected theorem mul_le_mul_left {m n : Nat} (k : Nat) (h : m ≤ n) : k * m ≤ k * n := by
  let ⟨w, hw⟩ := le.dest h; exact le.intro (k := k * w) (by rw [← Nat.left_distrib, hw])
protected theorem mul_le_mul_right {m n : Nat} (k : Nat) (h : m ≤ n) : m * k ≤ n * k := by
  rw [Nat.mul_comm m k, Nat.mul_comm n k]; exact Nat.mul_le_mul_left k h
theorem pred_lt : {n : Nat} → n ≠ 0 → pred n < n
  | 0, h => absurd rfl h
  | n+1, _ => lt_succ_self n
theorem sub_one_lt : {n : Nat} → n ≠ 0 → n - 1 < n := pred_lt
theorem pred_lt' {n m : Nat} (h : m < n) : pred n < n := pred_lt (ne_zero_of_lt h)
theorem sub_one_lt_of_lt {n m : Nat} (h : m < n) : n - 1 < n := sub_one_lt (ne_zero_of_lt h)
protected theorem sub_lt_self' {a b : Nat} (h₀ : 0 < b) (h₁ : b ≤ a) : a - b < a := Nat.sub_lt (Nat.lt_of_lt_of_le h₀ h₁) h₀
theorem add_sub_cancel : (n m : Nat) → n + m - m = n
  | _, 0 => rfl
  | n, m+1 => (succ_sub_succ_eq_sub (n + m) m).trans (add_sub_cancel n m)
@[simp] protected theorem add_sub_cancel' (n m : Nat) : n + m - m = n := add_sub_cancel n m
@[simp] protected theorem add_sub_cancel_left (n m : Nat) : n + m - n = m := by rw [Nat.add_comm]; exact add_sub_cancel m n
theorem sub_add_cancel {n m : Nat} (h : m ≤ n) : n - m + m = n := by
  let ⟨k, hk⟩ := le.dest h; rw [← hk, Nat.add_sub_cancel_left, Nat.add_comm]
theorem add_sub_of_le {a b : Nat} (h : a ≤ b) : a + (b - a) = b := by rw [Nat.add_comm]; exact sub_add_cancel h
protected theorem sub_eq_zero_of_le {n m : Nat} (h : n ≤ m) : n - m = 0 := by
  let ⟨k, hk⟩ := le.dest h; rw [← hk]; exact go n k
where go (n k : Nat) : n - (n + k) = 0 := Nat.rec (by rw [Nat.zero_sub]) (fun n ih => by rw [succ_add, succ_sub_succ_eq_sub, ih]) n
theorem le_pred_of_lt' {n m : Nat} (h : m < n) : m ≤ n - 1 := pred_le_pred h
theorem le_sub_one_of_lt {n m : Nat} (h : m < n) : m ≤ n - 1 := pred_le_pred h
theorem sub_lt_sub_left : {k m n : Nat} → k < m → k < n → m - n < m - k
  | 0, m+1, n+1, _, _ => by rw [succ_sub_succ_eq_sub]; exact lt_succ_of_le (sub_le m n)
  | k+1, m+1, n+1, h1, h2 => by
    rw [succ_sub_succ_eq_sub, succ_sub_succ_eq_sub]
    exact sub_lt_sub_left (lt_of_succ_lt_succ h1) (lt_of_succ_lt_succ h2)
protected theorem max_def {n m : Nat} : max n m = if n ≤ m then m else n := rfl
protected theorem min_def {n m : Nat} : min n m = if n ≤ m then n else m := rfl
protected theorem le_max_left (a b : Nat) : a ≤ max a b := by
  rw [Nat.max_def]; exact (Decidable.em (a ≤ b)).elim (fun h => by rw [if_pos h]; exact h) (fun h => by rw [if_neg h]; exact Nat.le_refl a)
protected theorem le_max_right (a b : Nat) : b ≤ max a b := by
  rw [Nat.max_def]; exact (Decidable.em (a ≤ b)).elim (fun h => by rw [if_pos h]; exact Nat.le_refl b) (fun h => by rw [if_neg h]; exact le_of_lt (Nat.not_le.1 h))
protected theorem min_le_left (a b : Nat) : min a b ≤ a := by
  rw [Nat.min_def]; exact (Decidable.em (a ≤ b)).elim (fun h => by rw [if_pos h]; exact Nat.le_refl a) (fun h => by rw [if_neg h]; exact le_of_lt (Nat.not_le.1 h))
protected theorem min_le_right (a b : Nat) : min a b ≤ b := by
  rw [Nat.min_def]; exact (Decidable.em (a ≤ b)).elim (fun h => by rw [if_pos h]; exact h) (fun h => by rw [if_neg h]; exact Nat.le_refl b)
end Nat
attribute [simp] Nat.le_refl Nat.zero_le Nat.not_lt_zero Nat.lt_irrefl
attribute [refl] Nat.le_refl
attribute [symm] Eq.symm Iff.symm Ne.symm HEq.symm
attribute [ext] Prod
attribute [simp] not_exists
protected theorem Nat.eq_of_beq {a b : Nat} (h : (a == b) = true) : a = b := of_decide_eq_true h

instance Nat.instTransLt : Trans (@LT.lt Nat _) (@LT.lt Nat _) (@LT.lt Nat _) := ⟨Nat.lt_trans⟩
instance Nat.instTransLe : Trans (@LE.le Nat _) (@LE.le Nat _) (@LE.le Nat _) := ⟨Nat.le_trans⟩
instance Nat.instTransLtLe : Trans (@LT.lt Nat _) (@LE.le Nat _) (@LT.lt Nat _) := ⟨Nat.lt_of_lt_of_le⟩
instance Nat.instTransLeLt : Trans (@LE.le Nat _) (@LT.lt Nat _) (@LT.lt Nat _) := ⟨Nat.lt_of_le_of_lt⟩

/-! ## Lists -/

namespace List
@[simp] theorem length_nil : length ([] : List α) = 0 := rfl
@[simp] theorem length_cons {a : α} {as : List α} : (a :: as).length = as.length + 1 := rfl
@[simp] theorem nil_append (as : List α) : [] ++ as = as := rfl
@[simp] theorem cons_append {a : α} {as bs : List α} : (a :: as) ++ bs = a :: (as ++ bs) := rfl
@[simp] theorem append_nil : (as : List α) → as ++ [] = as
  | [] => rfl
  | a :: as => congrArg (a :: ·) (append_nil as)
@[simp] theorem append_assoc : (as bs cs : List α) → (as ++ bs) ++ cs = as ++ (bs ++ cs)
  | [], _, _ => rfl
  | a :: as, bs, cs => congrArg (a :: ·) (append_assoc as bs cs)
@[simp] theorem length_append : {as bs : List α} → (as ++ bs).length = as.length + bs.length
  | [], bs => (Nat.zero_add _).symm
  | a :: as, bs => by rw [cons_append, length_cons, length_cons, length_append, Nat.add_right_comm]
@[simp] theorem map_nil {f : α → β} : map f [] = [] := rfl
@[simp] theorem map_cons {f : α → β} {a : α} {l : List α} : map f (a :: l) = f a :: map f l := rfl
@[simp] theorem length_map : {as : List α} → (f : α → β) → (as.map f).length = as.length
  | [], _ => rfl
  | _ :: as, f => congrArg (· + 1) (length_map (as := as) f)
@[simp] theorem map_append {f : α → β} : {as bs : List α} → map f (as ++ bs) = map f as ++ map f bs
  | [], _ => rfl
  | a :: as, bs => congrArg (f a :: ·) (map_append (as := as))
@[simp] theorem map_map {g : β → γ} {f : α → β} : {l : List α} → map g (map f l) = map (g ∘ f) l
  | [] => rfl
  | a :: l => congrArg (g (f a) :: ·) (map_map (l := l))
@[simp] theorem map_id' : {l : List α} → map (fun a => a) l = l
  | [] => rfl
  | a :: l => congrArg (a :: ·) (map_id' (l := l))
@[simp] theorem map_id_fun : map (id : α → α) = id := funext fun _ => map_id'
@[simp] theorem foldl_nil {f : β → α → β} {b : β} : [].foldl f b = b := rfl
@[simp] theorem foldl_cons {f : β → α → β} {a : α} {l : List α} {b : β} : (a :: l).foldl f b = l.foldl f (f b a) := rfl
@[simp] theorem foldr_nil {f : α → β → β} {b : β} : [].foldr f b = b := rfl
@[simp] theorem foldr_cons {f : α → β → β} {a : α} {l : List α} {b : β} : (a :: l).foldr f b = f a (l.foldr f b) := rfl
@[simp] theorem filter_nil {p : α → Bool} : filter p [] = [] := rfl
theorem reverseAux_eq : (as bs : List α) → reverseAux as bs = reverse as ++ bs
  | [], _ => rfl
  | a :: as, bs => by
    show reverseAux as (a :: bs) = reverseAux as [a] ++ bs
    rw [reverseAux_eq as (a :: bs), reverseAux_eq as [a], append_assoc]; rfl
@[simp] theorem reverse_nil : reverse ([] : List α) = [] := rfl
@[simp] theorem reverse_cons {a : α} {as : List α} : reverse (a :: as) = reverse as ++ [a] := reverseAux_eq as [a]
@[simp] theorem reverse_append : {as bs : List α} → (as ++ bs).reverse = bs.reverse ++ as.reverse
  | [], bs => by rw [nil_append, reverse_nil, append_nil]
  | a :: as, bs => by rw [cons_append, reverse_cons, reverse_append, reverse_cons, append_assoc]
@[simp] theorem reverse_reverse : (as : List α) → as.reverse.reverse = as
  | [] => rfl
  | a :: as => by rw [reverse_cons, reverse_append, reverse_reverse as]; rfl
@[simp] theorem length_reverse : {as : List α} → as.reverse.length = as.length
  | [] => rfl
  | a :: as => by rw [reverse_cons, length_append, length_reverse]; rfl
@[simp] theorem mem_nil_iff {a : α} : a ∈ ([] : List α) ↔ False := ⟨fun h => (nomatch h), False.elim⟩
@[simp] theorem not_mem_nil {a : α} : ¬a ∈ ([] : List α) := fun h => nomatch h
@[simp] theorem mem_cons {a b : α} {l : List α} : a ∈ b :: l ↔ a = b ∨ a ∈ l :=
  ⟨fun h => match h with
    | .head _ => Or.inl rfl
    | .tail _ h => Or.inr h,
   fun h => match h with
    | .inl rfl => .head _
    | .inr h => .tail _ h⟩
theorem mem_cons_self {a : α} {l : List α} : a ∈ a :: l := .head l
theorem sizeOf_lt_of_mem [SizeOf α] {as : List α} {a : α} (h : a ∈ as) : sizeOf a < sizeOf as := by
  induction h with
  | head as => exact Nat.lt_of_lt_of_le (Nat.lt_add_of_pos_left (Nat.zero_lt_one)) (Nat.le_add_right _ _)
  | tail b _ ih => exact Nat.lt_of_lt_of_le ih (Nat.le_add_left _ _)
end List
@[simp] theorem Array.size_toArray' {l : List α} : l.toArray.size = l.length := rfl
@[simp] theorem Option.some_inj {a b : α} : some a = some b ↔ a = b := ⟨fun h => congrArg (fun o => o.getD a) h, fun h => h ▸ rfl⟩
@[simp] theorem Option.getD_some {a b : α} : (some a).getD b = a := rfl
@[simp] theorem Option.getD_none {a : α} : (none : Option α).getD a = a := rfl
@[simp] theorem Option.map_some {f : α → β} {a : α} : (some a).map f = some (f a) := rfl
@[simp] theorem Option.map_none {f : α → β} : (none : Option α).map f = none := rfl
@[simp] theorem Option.isSome_some {a : α} : (some a).isSome = true := rfl
@[simp] theorem Option.isSome_none : (none : Option α).isSome = false := rfl
@[simp] theorem Prod.mk.injEq' {a c : α} {b d : β} : ((a, b) = (c, d)) = (a = c ∧ b = d) :=
  propext ⟨fun h => ⟨congrArg Prod.fst h, congrArg Prod.snd h⟩, fun ⟨h₁, h₂⟩ => h₁ ▸ h₂ ▸ rfl⟩
@[simp] theorem Prod.eta (p : α × β) : (p.1, p.2) = p := rfl
@[simp] theorem Function.comp_apply {f : β → δ} {g : α → β} {x : α} : (f ∘ g) x = f (g x) := rfl
attribute [simp] id_eq

/-! ## Recursion on a natural number that goes down -/

namespace WellFounded.Nat
variable {α : Sort u} {motive : α → Sort v} (h : α → Nat)
  (F : (x : α) → ((y : α) → InvImage (· < ·) h y x → motive y) → motive x)
def fix.go : (fuel : Nat) → (x : α) → h x < fuel → motive x
  | 0, _, hfuel => (Nat.not_succ_le_zero _ hfuel).elim
  | n+1, x, hfuel => F x fun y hy => fix.go n y (Nat.lt_of_lt_of_le hy (Nat.le_of_lt_succ hfuel))
def fix (x : α) : motive x := fix.go h F (h x + 1) x (Nat.lt_succ_self (h x))
theorem fix.go_congr : (n m : Nat) → (x : α) → (hn : h x < n) → (hm : h x < m) → fix.go h F n x hn = fix.go h F m x hm
  | 0, _, _, hn, _ => (Nat.not_succ_le_zero _ hn).elim
  | _+1, 0, _, _, hm => (Nat.not_succ_le_zero _ hm).elim
  | n+1, m+1, x, hn, hm =>
    show F x (fun y hy => fix.go h F n y _) = F x (fun y hy => fix.go h F m y _) from
      congrArg (F x) (funext fun y => funext fun hy => fix.go_congr n m y _ _)
theorem fix_eq (x : α) : fix h F x = F x fun y _ => fix h F y :=
  congrArg (F x) (funext fun y => funext fun hy => fix.go_congr h F _ _ y _ _)
end WellFounded.Nat
theorem Eq.mpr_prop {p q : Prop} (h₁ : p = q) (h₂ : q) : p := h₁ ▸ h₂
theorem Eq.mpr_not {p q : Prop} (h₁ : p = q) (h₂ : ¬q) : ¬p := h₁ ▸ h₂
theorem Eq.propIntro {a b : Prop} (h₁ : a → b) (h₂ : b → a) : a = b := propext ⟨h₁, h₂⟩
theorem Lean.injEq_helper {P Q R : Prop} (h : P → Q → R) : P ∧ Q → R := fun ⟨h₁, h₂⟩ => h h₁ h₂
opaque Lean.opaqueId {α : Sort u} (x : α) : α := x

/-! ## Tactics that are missing: an error that names them -/

syntax "grind" ("[" term,* "]")? : tactic
syntax "bv_decide" : tactic
macro_rules
  | `(tactic| grind $[[$_,*]]?) => Lean.Macro.throwError "`grind` is not in the embedded library (docs/embedded-lean.md)"
  | `(tactic| bv_decide) => Lean.Macro.throwError "`bv_decide` is not in the embedded library (docs/embedded-lean.md)"

/-! ## Deciding membership -/

instance List.instDecidableMemOfLawfulBEq {α : Type u} [BEq α] [LawfulBEq α] (a : α) : (as : List α) → Decidable (a ∈ as)
  | [] => isFalse nofun
  | b :: bs =>
    match h : a == b with
    | true => isTrue (eq_of_beq h ▸ List.Mem.head bs)
    | false => match instDecidableMemOfLawfulBEq a bs with
      | isTrue k => isTrue (List.Mem.tail b k)
      | isFalse k => isFalse fun
        | .head _ => Bool.noConfusion (h.symm.trans (beq_of_eq rfl))
        | .tail _ m => k m
