-- One row for each flight, from what was known before its day began: counts of
-- earlier days only. All sums are of whole numbers and each feature ends in one
-- division, so that the result is the same bits in whatever order rows are read.
--
-- A share of late flights out of few is drawn towards a broader one: (late + k
-- × broader) / (flights + k). The origin and the destination are drawn towards
-- all airports (k = 20), the route towards the mean of its two ends (k = 10).
with known as (
    select line, departure::date as day, departure, delay_minutes > 15 as late, distance_miles, origin, destination
    from flight
), everywhere as ( -- all flights of earlier days, and of the last three of them
    select day,
           coalesce(sum(n) over before, 0) as n, coalesce(sum(late) over before, 0) as late,
           coalesce(sum(n) over latest, 0) as recent_n, coalesce(sum(late) over latest, 0) as recent_late
    from (select day, count(*) as n, count(*) filter (where late) as late from known group by day) d
    window before as (order by day rows between unbounded preceding and 1 preceding),
           latest as (order by day range between '3 days' preceding and '1 day' preceding)
), at_origin as (
    select origin, day, coalesce(sum(n) over before, 0) as n, coalesce(sum(late) over before, 0) as late
    from (select origin, day, count(*) as n, count(*) filter (where late) as late from known group by origin, day) d
    window before as (partition by origin order by day rows between unbounded preceding and 1 preceding)
), at_destination as (
    select destination, day, coalesce(sum(n) over before, 0) as n, coalesce(sum(late) over before, 0) as late
    from (select destination, day, count(*) as n, count(*) filter (where late) as late from known group by destination, day) d
    window before as (partition by destination order by day rows between unbounded preceding and 1 preceding)
), on_route as (
    select origin, destination, day, coalesce(sum(n) over before, 0) as n, coalesce(sum(late) over before, 0) as late
    from (select origin, destination, day, count(*) as n, count(*) filter (where late) as late
          from known group by origin, destination, day) d
    window before as (partition by origin, destination order by day rows between unbounded preceding and 1 preceding)
), smooth as (
    select k.*, r.n as route_n, r.late as route_late,
           (e.recent_late + 50 * b.share) / (e.recent_n + 50) as recent,
           (o.late + 20 * b.share) / (o.n + 20) as at_origin,
           (d.late + 20 * b.share) / (d.n + 20) as at_destination
    from known k
    join everywhere e using (day)
    join at_origin o using (origin, day)
    join at_destination d using (destination, day)
    join on_route r using (origin, destination, day)
    cross join lateral (select (e.late + 1)::double precision / (e.n + 5) as share) b
)
insert into feature (line, day, late, hour, weekday, distance, recent, origin, destination, route)
select line, day, late,
       extract(hour from departure)::double precision + extract(minute from departure)::double precision / 60,
       extract(isodow from day)::integer,
       distance_miles / 1000::double precision,
       recent, at_origin, at_destination,
       (route_late + 10 * ((at_origin + at_destination) / 2)) / (route_n + 10)
from smooth
order by line
