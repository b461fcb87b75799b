-- Who takes a position over begins to count anew: what was counted before it stays.
create or replace function public.record_positions(p_rows jsonb) returns integer
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_changed integer;
begin
  perform private.refuse_too_many(p_rows);
  insert into public.positions as known (
    user_id, trading_date, instrument, symbol, bought, bought_value_paise, sold, sold_value_paise, net, realised_paise,
    charges_paise, resting_stop, unprotected_ms, closed_by, by_trades, agrees, version)
  select distinct on (given.user_id, given.trading_date, given.instrument)
    given.user_id, given.trading_date, given.instrument, coalesce(given.symbol, ''), given.bought,
    given.bought_value_paise, given.sold, given.sold_value_paise, given.net, given.realised_paise, given.charges_paise,
    given.resting_stop, coalesce(given.unprotected_ms, 0), given.closed_by, given.by_trades, given.agrees, given.version
  from jsonb_to_recordset(p_rows) as given (
    user_id uuid, trading_date date, instrument text, symbol text, bought bigint, bought_value_paise bigint, sold bigint,
    sold_value_paise bigint, net bigint, realised_paise bigint, charges_paise bigint, resting_stop bigint,
    unprotected_ms bigint, closed_by text, by_trades boolean, agrees boolean, version bigint)
  order by given.user_id, given.trading_date, given.instrument, given.version desc
  on conflict (user_id, trading_date, instrument) do update set
    symbol = excluded.symbol, bought = excluded.bought, bought_value_paise = excluded.bought_value_paise,
    sold = excluded.sold, sold_value_paise = excluded.sold_value_paise, net = excluded.net,
    realised_paise = excluded.realised_paise, charges_paise = excluded.charges_paise,
    resting_stop = excluded.resting_stop,
    unprotected_ms = greatest(known.unprotected_ms, excluded.unprotected_ms), closed_by = excluded.closed_by,
    by_trades = excluded.by_trades, agrees = excluded.agrees, version = excluded.version,
    recorded_at = clock_timestamp()
  where known.version < excluded.version;
  get diagnostics v_changed = row_count;
  return v_changed;
end $$;
