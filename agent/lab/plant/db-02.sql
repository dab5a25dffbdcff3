-- pg-net: the weak one. The scanning account reads what the checks look at and is no superuser.
CREATE DATABASE warnings;
\c warnings
CREATE ROLE scan LOGIN PASSWORD '@SECRET@';
GRANT pg_read_all_settings, pg_read_all_stats TO scan;
GRANT SELECT ON pg_authid, pg_hba_file_rules TO scan;
GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO scan;
CREATE ROLE app LOGIN PASSWORD '@OTHER@';
CREATE ROLE report LOGIN PASSWORD '@OTHER@' SUPERUSER;
GRANT CREATE ON SCHEMA public TO PUBLIC;
\c postgres
GRANT SELECT ON pg_authid, pg_hba_file_rules TO scan;
GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO scan;
GRANT CREATE ON SCHEMA public TO PUBLIC;
