"""The warehouse's macros, in the order in which they are made: one may use those before it."""

from observatory.store.views.macro import Macro
from observatory.store.views.money_macros import MONEY_MACROS
from observatory.store.views.price_macros import PRICE_MACROS

MACROS: tuple[Macro, ...] = (*PRICE_MACROS, *MONEY_MACROS)
