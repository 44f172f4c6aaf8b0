"""The warehouse's macros, in the order in which they are made: one may use those before it."""

from observatory.store.macro import Macro
from observatory.store.money_macros import MONEY_MACROS
from observatory.store.price_macros import PRICE_MACROS

MACROS: tuple[Macro, ...] = (*PRICE_MACROS, *MONEY_MACROS)
