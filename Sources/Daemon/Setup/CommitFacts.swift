import PostgresSource

/// Who commits with `synchronous_commit = off`: a crash may lose what readers saw of it.
struct CommitFacts {
  /// The statement that ends it, for the server, a role, a database, or a role in one.
  var resets: [String]

  static func read(from session: CatalogSession) throws(CatalogError) -> CommitFacts {
    CommitFacts(resets: try session.rows(query).compactMap { $0[0] })
  }

  /// The names of `off` are those of the setting's enumeration. What another database sets does not concern this one.
  private static let query = """
    SELECT 'ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();'
    FROM pg_catalog.pg_settings
    WHERE name = 'synchronous_commit' AND setting = 'off' AND source NOT IN ('database', 'user', 'database user')
    UNION ALL
    SELECT CASE
        WHEN r.rolname IS NULL THEN pg_catalog.format('ALTER DATABASE %I', d.datname)
        WHEN d.datname IS NULL THEN pg_catalog.format('ALTER ROLE %I', r.rolname)
        ELSE pg_catalog.format('ALTER ROLE %I IN DATABASE %I', r.rolname, d.datname) END || ' RESET synchronous_commit;'
    FROM pg_catalog.pg_db_role_setting AS s
    LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
    LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
    CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS setting
    WHERE (s.setdatabase = 0 OR d.datname = pg_catalog.current_database())
      AND setting ~* '^synchronous_commit=(off|false|no|0)$'
    ORDER BY 1
    """

  /// Only against `lossless_crash`: without it a crash is followed by a flush whoever commits how.
  func findings(losslessCrash: Bool) -> [Finding] {
    guard losslessCrash, !resets.isEmpty else { return [] }
    return [
      Finding(
        .warning,
        "source.lossless_crash says that no session sets synchronous_commit = off, and there are settings that do: a crash"
          + " may lose commits whose rows are cached, so that cdcd flushes every rule after one all the same.",
        remedy: resets.joined(separator: " "))
    ]
  }
}
