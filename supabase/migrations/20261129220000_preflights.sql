-- Whether a user may enter anything today, and why not: for the page. The whole record stands on `ats.preflights`.

create table public.preflights (
  user_id uuid not null references auth.users (id) on delete restrict,
  trading_date date not null,
  green boolean not null,
  reds text[] not null,  -- every reason, as in the topic; none where it is green
  looked_at timestamptz not null,  -- market time
  primary key (user_id, trading_date),
  constraint red_says_why check (green = (cardinality(reds) = 0)),
  constraint reds_are_codes check (cardinality(reds) <= 20 and array_to_string(reds, ',') ~ '^[a-z_,]*$')
);
comment on table public.preflights is 'The last look at each account of each day, by any order worker.';

alter table public.preflights enable row level security;
revoke all on public.preflights from public, anon, authenticated, service_role;
grant select on public.preflights to authenticated, service_role;
create policy users_read_their_own_preflights on public.preflights for select to authenticated
  using (user_id = (select auth.uid()));

-- Whether it is the last look; an older one changes nothing.
create function public.record_preflight(
  p_user uuid, p_trading_date date, p_green boolean, p_reds text[], p_looked_at timestamptz
) returns boolean
language plpgsql volatile security definer set search_path = '' as $$
begin
  insert into public.preflights as known (user_id, trading_date, green, reds, looked_at)
  values (p_user, p_trading_date, p_green, p_reds, p_looked_at)
  on conflict (user_id, trading_date) do update set
    green = excluded.green, reds = excluded.reds, looked_at = excluded.looked_at
  where known.looked_at < excluded.looked_at;
  return found;
end $$;

revoke execute on function public.record_preflight from public, anon, authenticated, service_role;
grant execute on function public.record_preflight to service_role;
