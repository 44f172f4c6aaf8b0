"""Fills the columns of prices that rows of before schema 8 have in their JSON `details` alone."""

import duckdb

from observatory.store.schema.tables import PRICE_BOOK

OF_DETAILS = ("days", "not_counted")
"""Columns of price_book that files of before schema 8 have in `details` alone."""


def fill_price_book(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the columns OF_DETAILS of rows that have them in `details` alone."""
    connection.execute(
        f"UPDATE {PRICE_BOOK.name} SET days = details ->> 'days',"
        """ not_counted = from_json(details -> 'not_counted', '["VARCHAR"]')"""
        " WHERE days IS NULL AND not_counted IS NULL AND details IS NOT NULL"
    )


def fill_prices(connection: duckdb.DuckDBPyConnection) -> None:
    """Fill the columns of table prices that a run of before schema 8 has in `details` alone."""
    connection.execute(
        """UPDATE prices SET
          provider = coalesce(details ->> 'ledger_provider', details ->> 'provider'),
          model = coalesce(details ->> 'ledger_model', details ->> 'model'),
          service_tier = details ->> 'service_tier',
          tiers = from_json(details -> 'tiers', '[{"above_prompt_tokens": "BIGINT", "usd": "DOUBLE"}]')
        """
    )
    connection.execute(
        """UPDATE prices p SET
          accelerators = coalesce((p.details ->> 'accelerators')::BIGINT, 1),
          commitment = coalesce(p.details ->> 'commitment',
            CASE WHEN (p.details ->> 'owned')::BOOLEAN THEN 'owned' ELSE 'on_demand' END),
          rate_includes = from_json(p.details -> 'rate_includes', '["VARCHAR"]'),
          usd_per_kwh = coalesce(
            (SELECT t.usd FROM prices t WHERE t.run_id = p.run_id AND t.kind = 'electricity_kwh'),
            (p.details ->> 'electricity_usd_per_kwh')::DOUBLE)
        WHERE p.kind = 'machine_hour'"""
    )
    connection.execute(
        """UPDATE prices SET pays_electricity = usd_per_kwh IS NOT NULL OR CASE
            WHEN rate_includes IS NULL THEN coalesce((details ->> 'owned')::BOOLEAN, false)
            ELSE NOT list_contains(rate_includes, 'electricity') END
        WHERE kind = 'machine_hour'"""
    )
