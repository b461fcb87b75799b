-- Whether anybody's keys have changed, for who looks twice a second: a number instead of every row.
--
-- Of one snapshot, so it never names what is not committed. Not cryptographic: a change that hits the same number by chance,
-- one in 2^64, is seen with the next one; the claim reads the switch and the token itself.
create function public.trading_keys_digest() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object('digest', count(*) || ' ' || coalesce(bit_xor(pg_catalog.hash_record_extended(
    (keys.user_id, keys.dhan_client_id, keys.is_trading_enabled, keys.token_expiry, keys.updated_at, token.refused_at), 0)),
    0))
  from public.user_trading_keys as keys join private.stored_tokens as token on token.user_id = keys.user_id
$$;
revoke execute on function public.trading_keys_digest from public, anon, authenticated, service_role;
grant execute on function public.trading_keys_digest to service_role;
