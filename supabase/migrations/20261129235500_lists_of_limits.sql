-- A list in a list is made of the same words, and so is one of a million entries; readers of limits know neither, and every
-- order worker reads everybody's. What there is of such lists is made plain.

update public.user_limits set
  segments = (select array_agg(distinct one order by one) from unnest(segments) as one),
  products = (select array_agg(distinct one order by one) from unnest(products) as one)
where cardinality(segments) > 7 or array_ndims(segments) > 1 or cardinality(products) > 4 or array_ndims(products) > 1;

alter table public.user_limits
  add constraint segments_are_one_list check (array_ndims(segments) = 1),  -- null of an empty one
  add constraint segments_are_each_named_once check (cardinality(segments) <= 7),
  add constraint products_are_one_list check (array_ndims(products) = 1),
  add constraint products_are_each_named_once check (cardinality(products) <= 4);
