-- One Dhan account, one user: two users of one account would have twice its limits and its rate.
--
-- A stored token holds its account while it lives: until it ends, is deleted, or Dhan refuses it. Nobody else can store a
-- token of that account meanwhile; whose token no longer lives gives the account up to the next who logs in at Dhan. Both
-- are told to the user who holds it.

create table private.account_contests (
  id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  client_id text not null,
  holder uuid not null,  -- no foreign keys: the trail outlives the users
  challenger uuid not null,
  -- False: the holder's token lived, and the challenger was turned away.
  taken_over boolean not null
);
comment on table private.account_contests is 'Each time a user named a Dhan account whose token another user had stored.';
create index account_contests_holder on private.account_contests (holder, at);
alter table private.account_contests enable row level security;
revoke all on private.account_contests from public, anon, authenticated, service_role;

alter table private.key_audit drop constraint key_audit_action_check;
alter table private.key_audit add constraint key_audit_action_check
  check (action in ('stored', 'deleted', 'claimed', 'reconciled', 'refused', 'turned_away', 'taken_over'));

-- `p_holder` loses the account to `p_challenger`: disconnected and switched off, as if they had done it themselves.
create function private.take_account_over(p_holder uuid, p_challenger uuid, p_client_id text) returns void
language plpgsql set search_path = '' as $$
begin
  update public.user_trading_keys
  set dhan_access_token = null, token_expiry = null, is_trading_enabled = false
  where user_id = p_holder;
  insert into private.account_contests (client_id, holder, challenger, taken_over)
  values (p_client_id, p_holder, p_challenger, true);
  perform private.audit_key(p_holder, 'taken_over');
end $$;

-- Who shares an account today: the longest connected of those whose token lives keeps it.
do $$
declare
  v_row record;
begin
  for v_row in
    select ranked.user_id, ranked.keeper, ranked.dhan_client_id
    from (
      select keys.user_id, keys.dhan_client_id, first_value(keys.user_id) over (
        partition by keys.dhan_client_id
        order by keys.token_expiry > clock_timestamp() desc, keys.created_at, keys.user_id) as keeper
      from public.user_trading_keys as keys where keys.dhan_access_token is not null
    ) as ranked
    where ranked.user_id <> ranked.keeper
  loop
    perform private.take_account_over(v_row.user_id, v_row.keeper, v_row.dhan_client_id);
  end loop;
end $$;

create unique index one_account_one_user on public.user_trading_keys (dhan_client_id)
  where dhan_access_token is not null;

-- As before, and it answers: `stored`, or `account_taken` when another user's living token holds the account. An answer and
-- no error, because an error would take back the record of it. Both count towards the thirty a day.
drop function public.store_dhan_token(text, text, timestamptz);
create function public.store_dhan_token(p_client_id text, p_token text, p_expiry timestamptz) returns text
language plpgsql security definer set search_path = '' as $$
declare
  v_user constant uuid := private.writing_user();
  v_holder public.user_trading_keys;
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
      where user_id = v_user and action in ('stored', 'turned_away') and at > clock_timestamp() - interval '1 day') then
    raise exception 'too many connections in one day' using errcode = 'P0001', detail = 'too_often',
      hint = 'Wait until tomorrow.';
  end if;
  perform pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended('dhan_account ' || p_client_id, 0));
  -- The own row and the holder's, always in the same order: two users who change accounts wait for each other once only.
  perform from public.user_trading_keys
  where user_id = v_user or dhan_client_id = p_client_id and dhan_access_token is not null
  order by user_id for update;
  select * into v_holder from public.user_trading_keys
  where dhan_client_id = p_client_id and dhan_access_token is not null and user_id <> v_user;
  if found and v_holder.token_expiry > clock_timestamp() and not private.token_is_refused(v_holder.user_id) then
    insert into private.account_contests (client_id, holder, challenger, taken_over)
    values (p_client_id, v_holder.user_id, v_user, false);
    perform private.audit_key(v_user, 'turned_away');
    return 'account_taken';
  elsif v_holder.user_id is not null then
    perform private.take_account_over(v_holder.user_id, v_user, p_client_id);
  end if;
  insert into public.user_trading_keys as mine (user_id, dhan_client_id, dhan_access_token, token_expiry)
  values (v_user, p_client_id, p_token, p_expiry)
  on conflict (user_id) do update set
    dhan_client_id = excluded.dhan_client_id,
    dhan_access_token = excluded.dhan_access_token,
    token_expiry = excluded.token_expiry,
    is_trading_enabled = mine.is_trading_enabled and mine.dhan_client_id is not distinct from excluded.dhan_client_id;
  perform private.audit_key(v_user, 'stored');
  return 'stored';
end $$;

-- When somebody else last tried to connect the caller's account, and when it was last taken over; of the last thirty days,
-- of the account that the caller named last. Never who.
create function private.contested_at(p_user uuid, p_taken_over boolean) returns timestamptz
language sql volatile set search_path = '' as $$
  select max(contest.at) from private.account_contests as contest
  join public.user_trading_keys as keys on keys.user_id = contest.holder and keys.dhan_client_id = contest.client_id
  where contest.holder = p_user and contest.taken_over = p_taken_over
    and contest.at > clock_timestamp() - interval '30 days'
$$;

-- As before, and who else named the account.
create or replace function public.own_doubts() returns jsonb
language sql volatile security definer set search_path = '' as $$
  select jsonb_build_object(
    'token_doubted', exists (
      select from private.token_doubts as doubt join public.user_trading_keys as keys on keys.user_id = doubt.user_id
      where doubt.user_id = private.signed_in_user() and keys.dhan_access_token is not null),
    'token_refused', private.token_is_refused(private.signed_in_user()),
    'account_contested_at', private.contested_at(private.signed_in_user(), false),
    'account_lost_at', private.contested_at(private.signed_in_user(), true),
    'mode_changed', coalesce((
      select consent.ended_at is not null from private.switch_consents as consent
      where consent.user_id = private.signed_in_user() order by consent.id desc limit 1), false))
$$;

revoke execute on function private.take_account_over, private.contested_at from public, anon, authenticated, service_role;
revoke execute on function public.store_dhan_token from public, anon, authenticated, service_role;
grant execute on function public.store_dhan_token to authenticated;
