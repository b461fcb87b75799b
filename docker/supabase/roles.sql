-- Passwords of Supabase's own roles: the image creates them without one. Same password as the superuser's.
\set pgpass `echo "$POSTGRES_PASSWORD"`
alter user authenticator with password :'pgpass';
alter user supabase_auth_admin with password :'pgpass';
