-- What the stand-in's conformance tests ask for: column types, policies and function shapes beyond the product's own.
create table public.orders (
  id bigint generated always as identity primary key,
  user_id uuid not null default auth.uid() references auth.users (id) on delete cascade,
  symbol text not null,
  side text not null default 'BUY' check (side in ('BUY', 'SELL')),
  qty integer not null check (qty > 0),
  price numeric(14, 4),
  status text default 'open',
  meta jsonb not null default '{}',
  closed_at timestamptz
);
create index orders_user_id on public.orders (user_id);
alter table public.orders enable row level security;
create policy own on public.orders to authenticated
  using (user_id = (select auth.uid())) with check (user_id = (select auth.uid()));
grant select, insert, update, delete on public.orders to authenticated, service_role;

create table public.notes (
  user_id uuid primary key references auth.users (id) on delete cascade,
  body text,
  secret text
);
alter table public.notes enable row level security;
grant select (user_id, body), insert, update on public.notes to service_role;

create table public.ungranted (id integer primary key);
alter table public.ungranted enable row level security;

create function public.whoami(worker text, n integer default 1) returns jsonb language sql as
  $$ select jsonb_build_object('worker', worker, 'n', n, 'uid', auth.uid(), 'role', current_user) $$;
create function public.own_orders(min_qty integer default 0) returns setof public.orders language sql stable as
  $$ select * from public.orders where qty >= min_qty order by qty $$;
create function public.pairs() returns table (a integer, b text) language sql stable as
  $$ values (1, 'x'), (2, 'y') $$;
create function public.numbers() returns setof integer language sql stable as $$ values (3), (1) $$;
create function public.nothing() returns void language sql as $$ select $$;
create function public.maybe() returns integer language sql stable as $$ select null::integer $$;
create function public.refuse(message text) returns integer language plpgsql as
  $$ begin raise exception '%', message using errcode = 'P0001', hint = 'h', detail = 'd'; end $$;
revoke execute on all functions in schema public from public, anon;
grant execute on all functions in schema public to authenticated, service_role;
