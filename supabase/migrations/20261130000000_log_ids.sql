-- A line of user_trade_logs has the id of its order, so that whoever has the one can ask about the other: `ats why ID`
-- finds an order by it without a database, from the topics alone. An order has one line, and its id follows from user and
-- decision. Lines of before get theirs too: nothing refers to them.

create or replace function private.log_outcome(p_claim private.order_claims) returns void
language plpgsql set search_path = '' as $$
begin
  insert into public.user_trade_logs (id, user_id, decision_id, dhan_order_id, status, failure_reason)
  values (
    p_claim.order_id, p_claim.user_id, p_claim.decision_id, p_claim.dhan_order_id,
    case when p_claim.outcome = 'accepted' then 'SUCCESS' else 'FAILED' end,
    case when p_claim.outcome <> 'accepted' then coalesce(nullif(p_claim.reason, ''), p_claim.outcome) end);
  if p_claim.outcome = 'accepted' then
    perform pg_catalog.pg_advisory_xact_lock_shared(pg_catalog.hashtextextended('executed ' || p_claim.decision_id, 0));
    update public.trade_decisions set is_executed = true where id = p_claim.decision_id and not is_executed;
  end if;
end $$;

update public.user_trade_logs as log set id = claim.order_id
from private.order_claims as claim
where claim.user_id = log.user_id and claim.decision_id = log.decision_id and log.id <> claim.order_id;
