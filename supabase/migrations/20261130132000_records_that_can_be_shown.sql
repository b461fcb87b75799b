-- The console reads all that waits in one statement: a record that it cannot read is refused when it is left, so that it
-- hides nobody else's, nor the users and halts that stand beside them.

alter table private.approvals
  add constraint record_can_be_shown check (coalesce((record::jsonb ->> 'reference_price')::bigint > 0, false));
