-- Who signed out writes no more, what was written stays as it was, and no user fills a table.

-- An access token outlives its session by up to an hour: Auth deletes the session at sign-out and cannot call the token
-- back. Reading with it stays possible until it ends; writing asks whether the session is still there.
create function private.session_lives() returns boolean
language sql stable security definer set search_path = '' as $$
  select exists (
    select from auth.sessions as session
    where session.id = (auth.jwt() ->> 'session_id')::uuid and session.user_id = auth.uid()
      and (session.not_after is null or session.not_after > pg_catalog.now()))
$$;

-- For functions that write: the caller, whose session lives.
create function private.writing_user() returns uuid
language plpgsql stable set search_path = '' as $$
declare
  v_user constant uuid := private.signed_in_user();
begin
  if not private.session_lives() then
    raise exception 'the session has ended' using errcode = '42501', hint = 'Sign in again.';
  end if;
  return v_user;
end $$;

-- Turning off is never refused. With check and not using: whoever signed out is told so, instead of changing no row without
-- a word.
drop policy own_switch_is_turned on public.user_trading_keys;
create policy own_switch_is_turned on public.user_trading_keys for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()) and (not is_trading_enabled or (select private.session_lives())));

-- As before; and at most thirty a day, where Dhan allows twenty-five logins: each leaves a row in the audit for ever.
create or replace function public.store_dhan_token(p_client_id text, p_token text, p_expiry timestamptz) returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
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
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('key_audit ' || v_user, 0));
  if (select count(*) >= 30 from private.key_audit
      where user_id = v_user and action = 'stored' and at > clock_timestamp() - interval '1 day') then
    raise exception 'too many connections in one day' using errcode = 'P0001', detail = 'too_often',
      hint = 'Wait until tomorrow.';
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

-- As before; and what was not there is not deleted, so there are never more deletions in the audit than connections.
create or replace function public.disconnect_dhan() returns void
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
begin
  update public.user_trading_keys
  set dhan_access_token = null, token_expiry = null, is_trading_enabled = false
  where user_id = v_user and dhan_access_token is not null;
  if found then
    perform private.audit_key(v_user, 'deleted');
  end if;
end $$;

-- As before, for sessions that live.
create or replace function private.signed_in_session() returns uuid
language plpgsql stable set search_path = '' as $$
begin
  perform private.writing_user();
  return (auth.jwt() ->> 'session_id')::uuid;
end $$;

create or replace function public.abandon_dhan_consent(p_state_hash text) returns void
language sql security definer set search_path = '' as $$
  update private.dhan_consents set closed_at = clock_timestamp()
  where state_hash = p_state_hash and user_id = private.writing_user() and closed_at is null
$$;

-- As before; and of many doubts about one token the first twenty say enough. Null then: the token stays in doubt until one
-- is stored or deleted.
create or replace function public.doubt_dhan_token() returns bigint
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
  v_doubt bigint;
begin
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('token_doubts ' || v_user, 0));
  insert into private.token_doubts (user_id)
  select v_user where (select count(*) < 20 from private.token_doubts where user_id = v_user)
  returning id into v_doubt;
  return v_doubt;
end $$;

create or replace function public.trust_dhan_token(p_doubt bigint, p_minted_for text default null) returns void
language sql volatile security definer set search_path = '' as $$
  delete from private.token_doubts
  where id = p_doubt and user_id = private.writing_user() and not exists (
    select from public.user_trading_keys where user_id = private.signed_in_user() and dhan_client_id = p_minted_for)
$$;

-- Switching on again on the same terms counts in the row that says so.
alter table private.switch_consents
  add column times bigint not null default 1,
  add column last_agreed_at timestamptz not null default clock_timestamp();
update private.switch_consents set last_agreed_at = agreed_at;
comment on table private.switch_consents is
  'What each user agreed to by switching on: mode and limits that were stated, first and last time, and how often in a row.';

create or replace function private.refuse_switch_on_other_terms() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
  v_stated constant jsonb := private.terms_of(nullif(current_setting('ats.stated_terms', true), '')::jsonb);
  v_platform jsonb;
begin
  if auth.uid() is null then
    perform private.note_consent(new.user_id, null, null);
    return new;
  end if;
  -- Against report_platform: a mode that begins now is either seen here, or sees this switch and turns it off.
  perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('platform_reports', 0));
  v_platform := public.platform_status();
  if v_platform is null then
    raise exception 'trading cannot be switched on: no order worker has reported its mode and limits'
      using errcode = 'P0001', detail = 'mode_unknown', hint = 'Start the order workers first.';
  elsif v_stated <> private.terms_of(v_platform) or v_stated is null and v_platform ->> 'mode' <> 'paper' then
    raise exception 'trading cannot be switched on: mode and limits are not those that were agreed to'
      using errcode = 'P0001', detail = 'terms_changed', hint = 'Read the mode and the limits that hold now.';
  end if;
  perform private.note_consent(new.user_id, v_platform ->> 'mode', v_stated);
  return new;
end $$;

-- The row of the user's keys is locked here: of two that switch on, the second finds the first one's row.
create function private.note_consent(p_user uuid, p_mode text, p_terms jsonb) returns void
language plpgsql set search_path = '' as $$
begin
  update private.switch_consents set times = times + 1, last_agreed_at = clock_timestamp()
  where id = (select max(id) from private.switch_consents where user_id = p_user)
    and mode is not distinct from p_mode and terms is not distinct from p_terms and ended_at is null;
  if not found then
    insert into private.switch_consents (user_id, mode, terms) values (p_user, p_mode, p_terms);
  end if;
end $$;

-- What was decided stays as it was decided. Rows are added, never changed; `is_executed` is settle_order's to set.
revoke update on public.daily_scans, public.analysis_reports, public.trade_decisions from service_role;

create function private.refuse_rewriting() returns trigger
language plpgsql set search_path = '' as $$
begin
  raise exception '% rows are evidence and are not changed', tg_table_name using errcode = '42501';
end $$;

create trigger scans_stay before update on public.daily_scans
  for each row when (old is distinct from new) execute function private.refuse_rewriting();
create trigger reports_stay before update on public.analysis_reports
  for each row when (old is distinct from new) execute function private.refuse_rewriting();
create trigger decisions_stay before update on public.trade_decisions
  for each row when (
    (old.id, old.scan_id, old.symbol, old.action, old.reasoning)
      is distinct from (new.id, new.scan_id, new.symbol, new.action, new.reasoning))
  execute function private.refuse_rewriting();
create trigger decisions_begin_unexecuted before insert on public.trade_decisions
  for each row when (new.is_executed) execute function private.refuse_rewriting();

revoke execute on function private.session_lives, private.writing_user, private.note_consent, private.refuse_rewriting
  from public, anon, authenticated, service_role;
-- The policy runs it as the caller, who cannot name it: the schema has no usage for them.
grant execute on function private.session_lives to authenticated;
