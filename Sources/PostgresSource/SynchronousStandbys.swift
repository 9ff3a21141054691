/// What `synchronous_standby_names` says.
package enum SynchronousStandbys {
  /// SQL for whether the setting takes a connection of that name for a standby that commits wait for. `name` is an SQL
  /// expression for its application_name. Written without backslashes, which mean something else where
  /// standard_conforming_strings is off.
  ///
  /// Source: PostgreSQL manual, chapter 20.6.2 "Primary Server", synchronous_standby_names.
  package static func sql(taking name: String) -> String {
    """
    EXISTS (
      SELECT FROM pg_catalog.regexp_split_to_table(
        pg_catalog.regexp_replace(
          pg_catalog.current_setting('synchronous_standby_names'),
          '^[[:space:]]*((first|any)?[[:space:]]*[[:digit:]]+[[:space:]]*)?[(]|[)][[:space:]]*$', '', 'gi'), ',')
        AS standby
      WHERE pg_catalog.lower(pg_catalog.btrim(pg_catalog.btrim(standby), '"')) IN ('*', pg_catalog.lower(\(name))))
    """
  }
}
