-- The user's side: store a Dhan token, delete it, turn the switch.
--
-- Every SECURITY DEFINER function has an empty search_path and no PUBLIC execute. They run as their owner, which is
-- `postgres` here as on hosted Supabase: not a superuser, but with BYPASSRLS.

create function private.stamp_updated_at() returns trigger
language plpgsql set search_path = '' as $$
begin
  new.updated_at := now();
  return new;
end $$;

create trigger updated_at before update on public.user_trading_keys
  for each row execute function private.stamp_updated_at();

-- Turning off is never refused. Turning on needs a token that still lives; the user reads why not.
create function private.refuse_switch_without_token() returns trigger
language plpgsql set search_path = '' as $$
begin
  if new.dhan_access_token is null then
    raise exception 'trading cannot be switched on: no Dhan account is connected'
      using errcode = 'P0001', hint = 'Connect your Dhan account first.';
  elsif new.token_expiry <= clock_timestamp() then
    raise exception 'trading cannot be switched on: the Dhan token expired at %', new.token_expiry
      using errcode = 'P0001', hint = 'Connect your Dhan account again.';
  end if;
  return new;
end $$;

create trigger switch_on_by_insert before insert on public.user_trading_keys
  for each row when (new.is_trading_enabled) execute function private.refuse_switch_without_token();
create trigger switch_on_by_update before update on public.user_trading_keys
  for each row when (new.is_trading_enabled and not old.is_trading_enabled)
  execute function private.refuse_switch_without_token();

create function private.audit_key(p_user uuid, p_action text, p_decision uuid default null) returns void
language sql set search_path = '' as $$
  insert into private.key_audit (user_id, action, decision_id, actor_role, actor_id)
  values (p_user, p_action, p_decision, coalesce(auth.role(), session_user), auth.uid())
$$;

create function private.signed_in_user() returns uuid
language plpgsql stable set search_path = '' as $$
begin
  if auth.uid() is null then
    raise exception 'not signed in' using errcode = '42501', hint = 'Sign in and send the session''s access token.';
  end if;
  return auth.uid();
end $$;

-- Own row only, write-only. A switch that is on stays on while the account stays the same: the daily reconnect does not
-- stop trading, a different account does.
create function public.store_dhan_token(p_client_id text, p_token text, p_expiry timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.signed_in_user();
begin
  if p_client_id is null or p_client_id !~ '^[0-9]{4,20}$' then
    raise exception 'not a Dhan client id: expected 4 to 20 digits' using errcode = '22023';
  end if;
  -- Printable ASCII without spaces, as every token Dhan has issued; the value itself never enters a message.
  if p_token is null or length(p_token) not between 8 and 4096 or p_token ~ '[^!-~]' then
    raise exception 'not a Dhan access token: expected 8 to 4096 printable characters' using errcode = '22023';
  end if;
  if p_expiry is null or p_expiry <= clock_timestamp() or p_expiry > clock_timestamp() + interval '400 days' then
    raise exception 'token expiry must lie ahead, within 400 days: %', p_expiry using errcode = '22023';
  end if;
  insert into public.user_trading_keys as mine (user_id, dhan_client_id, dhan_access_token, token_expiry)
  values (v_user, p_client_id, p_token, p_expiry)
  on conflict (user_id) do update set
    dhan_client_id = excluded.dhan_client_id,
    dhan_access_token = excluded.dhan_access_token,
    token_expiry = excluded.token_expiry,
    is_trading_enabled = mine.is_trading_enabled and mine.dhan_client_id is not distinct from excluded.dhan_client_id;
  perform private.audit_key(v_user, 'stored');
end $$;

create function public.disconnect_dhan() returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.signed_in_user();
begin
  update public.user_trading_keys
  set dhan_access_token = null, token_expiry = null, is_trading_enabled = false
  where user_id = v_user;
  perform private.audit_key(v_user, 'deleted');
end $$;

revoke execute on all functions in schema private from public, anon, authenticated, service_role;
revoke execute on function public.store_dhan_token, public.disconnect_dhan
  from public, anon, authenticated, service_role;
grant execute on function public.store_dhan_token, public.disconnect_dhan to authenticated;
