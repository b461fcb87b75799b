-- The service that keeps a user's book and protects what they hold needs their token as long as it lives: also while the
-- switch is off or trading is halted, because exits always work. It asks once a token and keeps the answer in memory.

alter table private.key_audit drop constraint key_audit_action_check;
alter table private.key_audit add constraint key_audit_action_check check (
  action in (
    'stored', 'deleted', 'claimed', 'reconciled', 'refused', 'turned_away', 'taken_over', 'questioned', 'watched'));

-- `living` with the token, audited; `known` without it while it is still of version `p_known`; else `refused` with the
-- reason.
create function public.account_credentials(p_user uuid, p_known bigint default null) returns jsonb
language plpgsql volatile security definer set search_path = '' as $$
declare
  v_keys public.user_trading_keys;
  v_version bigint;
  v_refusal text;
begin
  -- The version before the token, as in reconcile_order: an answer about an older token hits nothing.
  select version into v_version from private.stored_tokens where user_id = p_user;
  select * into v_keys from public.user_trading_keys where user_id = p_user;
  v_refusal := coalesce(
    private.token_refusal(v_keys), case when private.token_is_refused(p_user) then 'token_refused' end);
  if v_refusal is not null then
    return jsonb_build_object('status', 'refused', 'reason', v_refusal);
  elsif v_version = p_known then
    return jsonb_build_object('status', 'known');
  end if;
  perform private.audit_key(p_user, 'watched');
  return jsonb_build_object(
    'status', 'living', 'dhan_client_id', v_keys.dhan_client_id, 'access_token', v_keys.dhan_access_token,
    'token_version', v_version);
end $$;

revoke execute on function public.account_credentials from public, anon, authenticated, service_role;
grant execute on function public.account_credentials to service_role;
