create table if not exists airport (
    iata text, name text, city text, state text, country text, latitude double precision, longitude double precision
);
create table if not exists airport_rejected (line int, reason text, text text);
create table if not exists feature (iata text, state text, x double precision, y double precision, z double precision, training boolean);
create table if not exists model (state text, airports int, mean double precision[], variance double precision[]);
create table if not exists prediction (iata text, state text, predicted text);
