-- When a user's keys last changed. Who tells that a user became active or not tells the time of the cause, not of its look.
drop function public.trading_keys(uuid);

-- Everybody's keys without their tokens, a thousand after `p_after`.
create function public.trading_keys(p_after uuid default null) returns table (
  user_id uuid, dhan_client_id text, is_trading_enabled boolean, token_expiry timestamptz, token_refused boolean,
  changed_at timestamptz
)
language sql volatile security definer set search_path = '' as $$
  select
    keys.user_id, keys.dhan_client_id, keys.is_trading_enabled, keys.token_expiry, token.refused_at is not null,
    greatest(keys.updated_at, token.refused_at)
  from public.user_trading_keys as keys join private.stored_tokens as token on token.user_id = keys.user_id
  where p_after is null or keys.user_id > p_after
  order by keys.user_id limit 1000
$$;

revoke execute on function public.trading_keys from public, anon, authenticated, service_role;
grant execute on function public.trading_keys to service_role;
