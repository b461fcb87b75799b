-- A script with a user's own session can store a token that Dhan never made, and so keep an account from its owner. When
-- somebody else names the account, the order workers ask Dhan about the stored token. One that Dhan refuses, or that is of
-- another account, holds nothing any more.

alter table private.stored_tokens
  add column asked_at timestamptz,  -- when an order worker last began to ask Dhan about it
  add column verified_at timestamptz;  -- when Dhan last said that it lives and is of this account

-- As before; nobody has asked about the token that is stored now.
create or replace function private.stamp_token() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
  insert into private.stored_tokens (user_id) values (new.user_id)
  on conflict (user_id) do update set
    version = default, stored_at = excluded.stored_at, refused_at = null, refused_code = null, asked_at = null,
    verified_at = null;
  return null;
end $$;

alter table private.key_audit drop constraint key_audit_action_check;
alter table private.key_audit add constraint key_audit_action_check check (
  action in ('stored', 'deleted', 'claimed', 'reconciled', 'refused', 'turned_away', 'taken_over', 'questioned'));

-- A living token whose account somebody else named since it was stored, since Dhan last vouched for it, and within the
-- hour: `questioned` with the token, at most once in `p_interval_ms`; or `none`. Which of them is not the caller's choice.
create function public.question_token(p_interval_ms integer) returns jsonb
language plpgsql security definer set search_path = '' as $$
declare
  v_token private.stored_tokens;
  v_keys public.user_trading_keys;
begin
  select token.* into v_token
  from private.stored_tokens as token join public.user_trading_keys as keys on keys.user_id = token.user_id
  where token.refused_at is null and private.token_refusal(keys) is null
    and (token.asked_at is null or token.asked_at <= clock_timestamp() - p_interval_ms * interval '1 millisecond')
    and exists (
      select from private.account_contests as contest
      where contest.holder = keys.user_id and contest.client_id = keys.dhan_client_id and not contest.taken_over
        and contest.at > greatest(token.stored_at, token.verified_at, clock_timestamp() - interval '1 hour'))
  order by token.asked_at nulls first limit 1 for update of token skip locked;
  if not found then
    return jsonb_build_object('status', 'none');
  end if;
  update private.stored_tokens set asked_at = clock_timestamp() where user_id = v_token.user_id;
  -- The version before the token, as in reconcile_order: an answer about an older token hits nothing.
  select * into v_keys from public.user_trading_keys where user_id = v_token.user_id;
  perform private.audit_key(v_token.user_id, 'questioned');
  return jsonb_build_object(
    'status', 'questioned', 'user_id', v_token.user_id, 'dhan_client_id', v_keys.dhan_client_id,
    'access_token', v_keys.dhan_access_token, 'token_version', v_token.version);
end $$;

-- Dhan says that this version of the token lives and is of the account it was stored for.
create function public.vouch_for_token(p_user uuid, p_token_version bigint) returns void
language sql volatile security definer set search_path = '' as $$
  update private.stored_tokens set verified_at = clock_timestamp() where user_id = p_user and version = p_token_version
$$;

revoke execute on function private.stamp_token from public, anon, authenticated, service_role;
revoke execute on function public.question_token, public.vouch_for_token from public, anon, authenticated, service_role;
grant execute on function public.question_token, public.vouch_for_token to service_role;
