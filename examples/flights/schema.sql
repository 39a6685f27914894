-- The tables of the example. Each has a surrogate key and no other unique
-- constraint: nothing here hides a row that is there twice. A row is known by
-- its line in the file, an airport by its code.
create table if not exists airport (
    id        bigint generated always as identity primary key,
    iata      text not null,
    name      text not null,
    city      text not null,
    state     text not null,
    country   text not null,
    latitude  double precision not null,
    longitude double precision not null,
    departures bigint not null default 0 -- counted while flights are loaded
);
create index if not exists airport_iata on airport (iata);

create table if not exists flight (
    id             bigint generated always as identity primary key,
    line           integer not null,
    departure      timestamp not null,
    delay_minutes  integer not null,
    distance_miles integer not null,
    origin         text not null,
    destination    text not null
);

create table if not exists rejected_flight (
    id     bigint generated always as identity primary key,
    line   integer not null,
    reason text not null,
    text   text not null
);

create table if not exists feature (
    id             bigint generated always as identity primary key,
    line           integer not null,
    day            date not null,
    late           boolean not null,
    hour           double precision not null,
    weekday        integer not null, -- 1 Monday … 7 Sunday
    distance       double precision not null, -- thousand miles
    recent         double precision not null,
    origin         double precision not null,
    destination    double precision not null,
    route          double precision not null
);
create index if not exists feature_line on feature (line);

create table if not exists model (
    id          bigint generated always as identity primary key,
    name        text not null,
    digest      text not null,
    description jsonb not null
);

create table if not exists prediction (
    id          bigint generated always as identity primary key,
    line        integer not null,
    probability double precision not null
);
