# cython: language_level=3, auto_pickle=False
"""Lean's kernel inside this process: builds names, levels, expressions and declarations, and has the kernel check them.

Owns the step from plain data to Lean objects: everything is made anew through Lean's own constructors, so that no object
of a stranger's making gets here. Hides Lean's ABI. Callers number names, levels and expressions as `Heap.extend`
describes, and decide what has to be added in which order.

Objects are never released (their count is 0): a process that judges lives for one candidate. One library per process,
one thread.
"""

import os

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset, strlen

cdef extern from "dlfcn.h" nogil:
    void *dlopen(const char *path, int flags)
    void *dlsym(void *handle, const char *name)
    char *dlerror()
    int RTLD_NOW
    int RTLD_GLOBAL

ctypedef void *obj
ctypedef obj (*f0)() noexcept nogil
ctypedef obj (*f1)(obj) noexcept nogil
ctypedef obj (*f2)(obj, obj) noexcept nogil
ctypedef obj (*f3)(obj, obj, obj) noexcept nogil
ctypedef obj (*f4)(obj, obj, obj, obj) noexcept nogil
ctypedef obj (*binder)(obj, obj, obj, uint8_t) noexcept nogil
ctypedef obj (*let_maker)(obj, obj, obj, obj, uint8_t) noexcept nogil
ctypedef obj (*axiom_maker)(obj, obj, obj, uint8_t) noexcept nogil
ctypedef obj (*definition_maker)(obj, obj, obj, obj, obj, uint8_t, obj) noexcept nogil
ctypedef obj (*theorem_maker)(obj, obj, obj, obj, obj) noexcept nogil
ctypedef obj (*opaque_maker)(obj, obj, obj, obj, uint8_t, obj) noexcept nogil
ctypedef obj (*inductive_maker)(obj, obj, obj, uint8_t) noexcept nogil
ctypedef obj (*from_bytes)(const char *, size_t) noexcept nogil
ctypedef obj (*from_text)(const char *) noexcept nogil
ctypedef obj (*allocator)(size_t) noexcept nogil
ctypedef obj (*importer)(obj, obj, uint32_t, obj, uint8_t, uint8_t, uint8_t, obj) noexcept nogil
ctypedef obj (*hints_maker)(uint32_t) noexcept nogil
ctypedef void (*starter)() noexcept nogil

ctypedef struct object_header:
    int32_t count
    uint16_t size
    uint8_t fields
    uint8_t tag

# The constructors of `Lean.Kernel.Exception`, in their order.
EXCEPTIONS = (
    "unknownConstant", "alreadyDeclared", "declTypeMismatch", "declHasMVars", "declHasFVars", "funExpected",
    "typeExpected", "letTypeMismatch", "exprTypeMismatch", "appTypeMismatch", "invalidProj", "thmTypeIsNotProp", "other",
    "deterministicTimeout", "excessiveMemory", "deepRecursion", "interrupted",
)

# Kinds of `wire`.
cdef enum:
    LEVEL_SUCC = 1
    LEVEL_MAX = 2
    LEVEL_IMAX = 3
    LEVEL_PARAM = 4
    BVAR = 0
    SORT = 3
    CONST = 4
    APP = 5
    LAM = 6
    FORALL = 7
    LET = 8
    NATURAL = 9
    PROJ = 11
    STRING = 12

cdef enum:
    ARRAY_TAG = 246
    STRING_TAG = 249
    BIG_TAG = 250
    PRIVATE_LEVEL = 2

class KernelRefused(Exception):
    """The kernel refused a declaration.

    Attributes:
        kind: The constructor of `Lean.Kernel.Exception`.
        text: Its text or the address of a name as text, where it has one.
    """

    def __init__(self, kind, text=""):
        super().__init__(kind, text)
        self.kind = kind
        self.text = text


cdef inline obj box(size_t n) noexcept:
    return <obj>((n << 1) | 1)


cdef inline bint is_scalar(obj o) noexcept:
    return (<uintptr_t>o) & 1


cdef inline obj keep(obj o) noexcept:
    """Never count or release it again."""
    # Not where it is so already: objects of a compiled module may lie in memory that cannot be written.
    if not is_scalar(o) and (<object_header *>o).count != 0:
        (<object_header *>o).count = 0
    return o


@cython.final
cdef class Memory:
    """Objects of this process, read as `child.verification.objects.Image` reads those of a file."""

    size = 1 << 46

    def tag(self, uintptr_t address):
        if address & 1:
            return address >> 1
        return (<object_header *>address).tag

    def field_count(self, uintptr_t address):
        return (<object_header *>address).fields

    def fields(self, uintptr_t address, int tag, int count):
        cdef object_header *head = <object_header *>address
        if address & 1 or head.tag != tag or head.fields != count:
            raise ValueError(f"an object of another shape than {tag} with {count} fields")
        cdef uintptr_t *words = <uintptr_t *>(address + 8)
        return tuple([words[i] for i in range(count)])

    def byte(self, uintptr_t address, size_t offset):
        return (<uint8_t *>(address + 8 + offset))[0]

    def word32(self, uintptr_t address, size_t offset):
        return (<uint32_t *>(address + 8 + offset))[0]

    def array(self, uintptr_t address):
        if address & 1 or (<object_header *>address).tag != ARRAY_TAG:
            raise ValueError("no array")
        cdef size_t count = (<size_t *>(address + 8))[0]
        cdef uintptr_t *words = <uintptr_t *>(address + 24)
        return tuple([words[i] for i in range(count)])

    def list(self, uintptr_t address):
        cdef uintptr_t *words
        found = []
        while not address & 1:
            words = <uintptr_t *>(address + 8)
            found.append(words[0])
            address = words[1]
        return found

    def string(self, uintptr_t address):
        if address & 1 or (<object_header *>address).tag != STRING_TAG:
            raise ValueError("no string")
        cdef size_t size = (<size_t *>(address + 8))[0]
        return (<char *>(address + 32))[:size - 1].decode()

    def natural(self, uintptr_t address):
        if address & 1:
            return address >> 1
        if (<object_header *>address).tag != BIG_TAG:
            raise ValueError("no natural number")
        cdef int32_t size = (<int32_t *>(address + 12))[0]
        cdef char *limbs = (<char **>(address + 16))[0]
        return int.from_bytes(limbs[:8 * size], "little")


@cython.final
cdef class Heap:
    """Lean objects by number, and one environment.

    Args:
        library: Path of libleanshared, as bytes; whatever it is split into has to be loaded already.

    Raises:
        OSError: The library cannot be loaded, or lacks a function that is needed; the text names it.
    """

    cdef void *_library
    cdef obj *_names
    cdef obj *_levels
    cdef obj *_expressions
    cdef size_t _name_count, _level_count, _expression_count, _capacity
    cdef uint8_t *_needed
    cdef list _texts
    cdef obj _environment, _options
    cdef allocator _alloc
    cdef from_bytes _mk_string
    cdef from_text _mk_natural
    cdef f2 _name_string, _name_numeral
    cdef f1 _level_succ, _level_param, _expr_bvar, _expr_sort, _expr_lit
    cdef hints_maker _regular
    cdef f2 _level_max, _level_imax, _expr_const, _expr_app, _find
    cdef f3 _expr_proj
    cdef binder _expr_lambda, _expr_forall
    cdef let_maker _expr_let
    cdef axiom_maker _axiom
    cdef definition_maker _definition
    cdef theorem_maker _theorem
    cdef opaque_maker _opaque
    cdef inductive_maker _inductive
    cdef f4 _add

    def __cinit__(self, bytes library):
        self._library = dlopen(library, RTLD_NOW | RTLD_GLOBAL)
        if self._library == NULL:
            raise OSError((<bytes>dlerror()).decode("utf-8", "replace"))
        self._alloc = <allocator>self._function("lean_alloc_object")
        self._mk_string = <from_bytes>self._function("lean_mk_string_from_bytes")
        self._mk_natural = <from_text>self._function("lean_cstr_to_nat")
        self._name_string = <f2>self._function("lean_name_mk_string")
        self._name_numeral = <f2>self._function("lean_name_mk_numeral")
        self._level_succ = <f1>self._function("lean_level_mk_succ")
        self._level_max = <f2>self._function("lean_level_mk_max")
        self._level_imax = <f2>self._function("lean_level_mk_imax")
        self._level_param = <f1>self._function("lean_level_mk_param")
        self._expr_bvar = <f1>self._function("lean_expr_mk_bvar")
        self._expr_sort = <f1>self._function("lean_expr_mk_sort")
        self._expr_const = <f2>self._function("lean_expr_mk_const")
        self._expr_app = <f2>self._function("lean_expr_mk_app")
        self._expr_lambda = <binder>self._function("lean_expr_mk_lambda")
        self._expr_forall = <binder>self._function("lean_expr_mk_forall")
        self._expr_let = <let_maker>self._function("lean_expr_mk_let")
        self._expr_lit = <f1>self._function("lean_expr_mk_lit")
        self._expr_proj = <f3>self._function("lean_expr_mk_proj")
        self._axiom = <axiom_maker>self._function("lean_mk_axiom_val")
        self._definition = <definition_maker>self._function("lean_mk_definition_val")
        self._theorem = <theorem_maker>self._function("lean_mk_theorem_val")
        self._opaque = <opaque_maker>self._function("lean_mk_opaque_val")
        self._inductive = <inductive_maker>self._function("lean_mk_inductive_decl")
        self._regular = <hints_maker>self._function("lean_mk_reducibility_hints_regular")
        self._find = <f2>self._function("lean_environment_find")
        self._add = <f4>self._function("l_Lean_Kernel_Environment_addDecl")
        self._texts = []
        (<starter>self._function("lean_initialize"))()
        self._options = (<obj *>self._function("l_Lean_Options_empty"))[0]
        self._name_count = self._level_count = 0
        self._reserve(1, 1, 0)
        self._names[0] = box(0)
        self._levels[0] = (<f1>self._function("lean_level_mk_zero"))(box(0))
        keep(self._levels[0])
        self._name_count = self._level_count = 1

    def __dealloc__(self):
        free(self._names)
        free(self._levels)
        free(self._expressions)
        free(self._needed)

    cdef void *_function(self, const char *name) except NULL:
        cdef void *found = dlsym(self._library, name)
        if found == NULL:
            # In a split library it may be in another part.
            found = dlsym(NULL, name)
        if found == NULL:
            raise OSError(f"the Lean library has no {name.decode()}")
        return found

    cdef int _reserve(self, size_t names, size_t levels, size_t expressions) except -1:
        self._names = <obj *>realloc(self._names, (names + 1) * sizeof(obj))
        self._levels = <obj *>realloc(self._levels, (levels + 1) * sizeof(obj))
        self._expressions = <obj *>realloc(self._expressions, (expressions + 1) * sizeof(obj))
        self._needed = <uint8_t *>realloc(self._needed, expressions + 1)
        if self._names == NULL or self._levels == NULL or self._expressions == NULL or self._needed == NULL:
            raise MemoryError
        while self._expression_count < expressions:
            self._expressions[self._expression_count] = NULL
            self._expression_count += 1
        return 0

    # -- objects --

    cdef obj _constructor(self, int tag, int fields, int number_bytes) noexcept:
        cdef size_t size = 8 + 8 * fields + (number_bytes + 7) // 8 * 8
        cdef obj made = self._alloc(size)
        memset(made, 0, size)
        (<object_header *>made).size = <uint16_t>size
        (<object_header *>made).fields = <uint8_t>fields
        (<object_header *>made).tag = <uint8_t>tag
        return made

    cdef inline void _set(self, obj o, int i, obj value) noexcept:
        (<obj *>(<uintptr_t>o + 8))[i] = value

    cdef obj _pair(self, int tag, obj first, obj second) noexcept:
        cdef obj made = self._constructor(tag, 2, 0)
        self._set(made, 0, first)
        self._set(made, 1, second)
        return made

    cdef obj _string(self, str text):
        cdef bytes data = text.encode()
        return keep(self._mk_string(data, len(data)))

    cdef obj _natural(self, value):
        if value < 1 << 62:
            return box(value)
        return keep(self._mk_natural(str(value).encode()))

    cdef obj _name_list(self, numbers):
        cdef obj made = box(0)
        for number in reversed(numbers):
            made = self._pair(1, self._names[<size_t>number], made)
        return made

    def extend(self, list names, list levels, list expressions, needed):
        """Build what the lists have beyond what was built before, and the expressions that `needed` names.

        Args:
            names: `(prefix, part)` by number; 0 is the anonymous name.
            levels: `(kind, …)` by number; 0 is level zero.
            expressions: `(kind, …)` by number. An entry names smaller numbers only.
            needed: Numbers of expressions; their parts are built too.
        """
        cdef size_t n = len(names), l = len(levels), e = len(expressions), i, part
        cdef tuple entry
        cdef int kind
        self._reserve(n, l, e)
        for i in range(self._name_count, n):
            prefix, text = names[i]
            if isinstance(text, str):
                self._names[i] = keep(self._name_string(self._names[<size_t>prefix], self._string(text)))
            else:
                self._names[i] = keep(self._name_numeral(self._names[<size_t>prefix], self._natural(text)))
        self._name_count = n
        for i in range(self._level_count, l):
            entry = levels[i]
            kind = entry[0]
            if kind == LEVEL_SUCC:
                self._levels[i] = keep(self._level_succ(self._levels[<size_t>entry[1]]))
            elif kind == LEVEL_MAX:
                self._levels[i] = keep(self._level_max(self._levels[<size_t>entry[1]], self._levels[<size_t>entry[2]]))
            elif kind == LEVEL_IMAX:
                self._levels[i] = keep(self._level_imax(self._levels[<size_t>entry[1]], self._levels[<size_t>entry[2]]))
            else:
                self._levels[i] = keep(self._level_param(self._names[<size_t>entry[1]]))
        self._level_count = l
        if not needed:
            return
        memset(self._needed, 0, e + 1)
        cdef size_t top = 0
        for number in needed:
            i = number
            self._needed[i] = 1
            if i + 1 > top:
                top = i + 1
        i = top
        while i > 0:
            i -= 1
            if not self._needed[i] or self._expressions[i] != NULL:
                continue
            entry = expressions[i]
            kind = entry[0]
            if kind == APP or kind == LAM or kind == FORALL or kind == LET:
                for part in range(1, len(entry)):
                    self._needed[<size_t>entry[part]] = 1
            elif kind == PROJ:
                self._needed[<size_t>entry[3]] = 1
        for i in range(top):
            if self._needed[i] and self._expressions[i] == NULL:
                self._expressions[i] = keep(self._expression(<tuple>expressions[i]))

    cdef obj _expression(self, tuple entry):
        cdef int kind = entry[0]
        cdef obj literal, levels
        if kind == BVAR:
            return self._expr_bvar(self._natural(entry[1]))
        if kind == SORT:
            return self._expr_sort(self._levels[<size_t>entry[1]])
        if kind == CONST:
            levels = box(0)
            for number in reversed(entry[2]):
                levels = self._pair(1, self._levels[<size_t>number], levels)
            return self._expr_const(self._names[<size_t>entry[1]], levels)
        if kind == APP:
            return self._expr_app(self._expressions[<size_t>entry[1]], self._expressions[<size_t>entry[2]])
        if kind == LAM:
            return self._expr_lambda(box(0), self._expressions[<size_t>entry[1]], self._expressions[<size_t>entry[2]], 0)
        if kind == FORALL:
            return self._expr_forall(box(0), self._expressions[<size_t>entry[1]], self._expressions[<size_t>entry[2]], 0)
        if kind == LET:
            return self._expr_let(
                box(0), self._expressions[<size_t>entry[1]], self._expressions[<size_t>entry[2]],
                self._expressions[<size_t>entry[3]], 0,
            )
        if kind == PROJ:
            return self._expr_proj(
                self._names[<size_t>entry[1]], self._natural(entry[2]), self._expressions[<size_t>entry[3]]
            )
        literal = self._constructor(0 if kind == NATURAL else 1, 1, 0)
        self._set(literal, 0, self._natural(entry[1]) if kind == NATURAL else self._string(entry[1]))
        return self._expr_lit(literal)

    # -- the environment --

    def import_modules(self, imports):
        """Load compiled modules; the environment is then theirs.

        Args:
            imports: Pairs of a name's number and Lean's three flags. Modules are looked for along LEAN_PATH.

        Raises:
            OSError: Lean could not import them; the text is Lean's.
        """
        (<f0>self._function("lean_init_search_path"))()
        cdef importer load = <importer>self._function("l_Lean_importModules")
        cdef size_t count = len(imports), i
        cdef obj array = self._array(count), one
        for i in range(count):
            number, flags = imports[i]
            one = self._constructor(0, 1, 3)
            self._set(one, 0, self._names[<size_t>number])
            for at, flag in enumerate(flags):
                (<uint8_t *>(<uintptr_t>one + 16))[<size_t>at] = 1 if flag else 0
            (<obj *>(<uintptr_t>array + 24))[i] = keep(one)
        cdef obj result
        # imports, options, trust level, plugins, leak the environment, run no initialisers, all parts, no artifacts
        result = load(array, self._options, 0, self._array(0), 1, 0, PRIVATE_LEVEL, box(1))
        if (<object_header *>result).tag != 0:
            text = (<f1>self._function("lean_io_error_to_string"))((<obj *>(<uintptr_t>result + 8))[0])
            raise OSError(Memory().string(<uintptr_t>text))
        cdef f1 kernel_part = <f1>self._function("lean_elab_environment_to_kernel_env")
        self._environment = kernel_part((<obj *>(<uintptr_t>result + 8))[0])

    cdef obj _array(self, size_t count) noexcept:
        cdef obj made = self._alloc(24 + 8 * count)
        memset(made, 0, 24 + 8 * count)
        (<object_header *>made).tag = ARRAY_TAG
        (<size_t *>(<uintptr_t>made + 8))[0] = count
        (<size_t *>(<uintptr_t>made + 16))[0] = count
        return made

    cdef obj _shared_environment(self) noexcept:
        cdef object_header *head = <object_header *>self._environment
        if head.count > 0:
            head.count += 1
        return self._environment

    def find(self, number):
        """Address of a declaration in the environment, or None. `Memory` reads it."""
        cdef obj found = self._find(self._shared_environment(), self._names[<size_t>number])
        if is_scalar(found):
            return None
        keep(found)
        cdef obj inside = (<obj *>(<uintptr_t>found + 8))[0]
        keep(inside)
        return <uintptr_t>inside

    cdef int _admit(self, int tag, obj value) except -1:
        cdef obj declaration = value, result, problem
        if tag >= 0:
            declaration = self._constructor(tag, 1, 0)
            self._set(declaration, 0, keep(value))
        keep(declaration)
        with nogil:
            result = self._add(self._environment, self._options, declaration, <obj>1)
        if (<object_header *>result).tag == 1:
            self._environment = (<obj *>(<uintptr_t>result + 8))[0]
            return 0
        problem = (<obj *>(<uintptr_t>result + 8))[0]
        memory = Memory()
        kind = memory.tag(<uintptr_t>problem)
        name = EXCEPTIONS[kind] if kind < len(EXCEPTIONS) else f"exception {kind}"
        text = ""
        if name == "other":
            text = memory.string(<uintptr_t>(<obj *>(<uintptr_t>problem + 8))[0])
        elif name in ("unknownConstant", "alreadyDeclared"):
            text = str(<uintptr_t>(<obj *>(<uintptr_t>problem + 8))[1])
        raise KernelRefused(name, text)

    def version(self):
        """The library's own version, such as "4.35.0"; "" if it does not say."""
        cdef void *place
        try:
            place = self._function("l_Lean_versionStringCore")
        except OSError:
            return ""
        return Memory().string(<uintptr_t>(<obj *>place)[0])

    def holds(self, number, type, value):
        """Whether the environment's declaration of this name is made of the very expressions that were built here.

        Args:
            number: Of the name.
            type: Number of its type.
            value: Number of its value; None if it has none.
        """
        address = self.find(number)
        if address is None:
            return False
        cdef obj body = (<obj *>(<uintptr_t><size_t>address + 8))[0]
        cdef obj common = (<obj *>(<uintptr_t>body + 8))[0]
        if (<obj *>(<uintptr_t>common + 8))[2] != self._expressions[<size_t>type]:
            return False
        return value is None or (<obj *>(<uintptr_t>body + 8))[1] == self._expressions[<size_t>value]

    cdef _check_built(self, numbers):
        for number in numbers:
            if number is not None and self._expressions[<size_t>number] == NULL:
                raise ValueError(f"expression {number} was not built")

    def add_axiom(self, name, levels, type):
        """Add an axiom; `KernelRefused` if the kernel refuses it. The same holds for the methods below."""
        self._check_built((type,))
        self._admit(0, self._axiom(self._names[<size_t>name], self._name_list(levels), self._expressions[<size_t>type], 0))

    def add_definition(self, name, levels, type, value, height):
        """Add a definition. `height` is None (opaque), -1 (abbreviation) or a number; it steers the kernel's search only."""
        self._check_built((type, value))
        cdef obj hints = box(0) if height is None else box(1) if height < 0 else self._regular(height)
        self._admit(1, self._definition(
            self._names[<size_t>name], self._name_list(levels), self._expressions[<size_t>type],
            self._expressions[<size_t>value], hints, 1, self._name_list((name,)),
        ))

    def add_theorem(self, name, levels, type, value):
        """Add a theorem."""
        self._check_built((type, value))
        self._admit(2, self._theorem(
            self._names[<size_t>name], self._name_list(levels), self._expressions[<size_t>type],
            self._expressions[<size_t>value], self._name_list((name,)),
        ))

    def add_opaque(self, name, levels, type, value):
        """Add an opaque constant."""
        self._check_built((type, value))
        self._admit(3, self._opaque(
            self._names[<size_t>name], self._name_list(levels), self._expressions[<size_t>type],
            self._expressions[<size_t>value], 0, self._name_list((name,)),
        ))

    def add_inductive(self, levels, parameters, types):
        """Add inductive types that are declared together.

        Args:
            levels: Numbers of the universe parameters.
            parameters: The number of parameters.
            types: For each `(name, type, [(constructor, its type), …])`.
        """
        cdef obj listed = box(0), constructors, one
        for name, type, made in reversed(types):
            self._check_built((type, *[kind for _, kind in made]))
            constructors = box(0)
            for constructor, kind in reversed(made):
                one = self._pair(0, self._names[<size_t>constructor], self._expressions[<size_t>kind])
                constructors = self._pair(1, one, constructors)
            one = self._constructor(0, 3, 0)
            self._set(one, 0, self._names[<size_t>name])
            self._set(one, 1, self._expressions[<size_t>type])
            self._set(one, 2, constructors)
            listed = self._pair(1, one, listed)
        self._admit(-1, self._inductive(self._name_list(levels), self._natural(parameters), listed, 0))
