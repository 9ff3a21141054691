/// Who commits with `synchronous_commit = off`: a crash of the server may lose what readers saw of it. A session may set
/// it without a trace in the catalogue.
package enum AsynchronousCommits {
  /// SQL for one row for each setting of the server, or of a role or database that concerns this one, that says so, with
  /// the statement that ends it in `reset`. Where something nearer to the session sets another value, the server's cannot be
  /// seen, and may be `off`.
  ///
  /// Source: PostgreSQL manual, chapter 20.5.1 "Settings", synchronous_commit, and the values of `off` that guc_tables.c
  /// takes.
  package static let resets = """
    SELECT 'ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();' AS reset
    FROM pg_catalog.pg_settings
    WHERE name = 'synchronous_commit' AND setting = 'off' AND source NOT IN \(ofRoleOrDatabase) AND source <> 'client'
    UNION ALL
    SELECT 'Take synchronous_commit out of the options in source.postgres.'
    FROM pg_catalog.pg_settings
    WHERE name = 'synchronous_commit' AND source = 'client'
    UNION ALL
    SELECT CASE
        WHEN r.rolname IS NULL AND d.datname IS NULL THEN 'ALTER ROLE ALL'
        WHEN r.rolname IS NULL THEN pg_catalog.format('ALTER DATABASE %I', d.datname)
        WHEN d.datname IS NULL THEN pg_catalog.format('ALTER ROLE %I', r.rolname)
        ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I', r.rolname, d.datname) END || ' RESET synchronous_commit;'
    FROM pg_catalog.pg_db_role_setting AS s
    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
    LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS setting
    WHERE (s.setdatabase = 0 OR d.datname = pg_catalog.current_database())
      AND CASE WHEN setting ~* '^synchronous_commit=(off|false|no|0)$' THEN true
        ELSE setting ~* '^synchronous_commit=' AND (s.setrole = 0 OR r.rolname = CURRENT_USER)
          AND EXISTS (SELECT FROM pg_catalog.pg_settings
            WHERE name = 'synchronous_commit' AND source IN \(ofRoleOrDatabase)) END
    """

  /// As `pg_settings.source` names them.
  private static let ofRoleOrDatabase = "('database', 'user', 'database user', 'global')"
}
