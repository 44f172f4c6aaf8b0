"""The warehouse's macros, in the order in which they are made: one may use those before it."""

from observatory.store.macro import Macro

MACROS: tuple[Macro, ...] = ()
