import Invalidation

/// Looks at the way to the server as the daemon takes it, for `cdcd check`.
extension CatalogSession {
  /// The server's system identifier and timeline.
  package func identity() throws(CatalogError) -> (system: String, timeline: UInt32) {
    let identity = SystemIdentity(
      try rows(
        """
        SELECT system_identifier, CASE WHEN pg_catalog.pg_is_in_recovery()
          THEN (SELECT timeline_id FROM pg_catalog.pg_control_checkpoint())
          ELSE ('x' || pg_catalog.left(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 8))::bit(32)::int END
        FROM pg_catalog.pg_control_system()
        """))
    guard let identity else {
      throw CatalogError(sqlState: nil, message: "the server did not tell who it is")
    }
    return (identity.system, identity.timeline)
  }

  /// Whether something between cdcd and PostgreSQL hands out server connections of its own: the process that answers is
  /// not the one that was told of when the connection began. What passes bytes on unchanged is not seen, and is no pooler.
  package func meetsPooler() throws(CatalogError) -> Bool {
    try rows("SELECT pg_catalog.pg_backend_pid()") != [[String(connection.serverProcess)]]
  }

  /// Opens the replication connection as the daemon does, to the address that this session has reached, and leaves
  /// again. Nil when it leads to the same server.
  package func problemOfReplication(
    for configuration: PostgresSourceConfiguration
  ) throws(CatalogError) -> SourceProblem? {
    let replication: LibpqConnection
    let identity: SystemIdentity?
    do throws(SourceFailure) {
      var parameters = try configuration.replicationParameters()
      for (keyword, value) in connection.reached { parameters.set(keyword, value) }
      replication = try LibpqConnection.connecting(parameters)
      identity = try replication.identifySystem()
    } catch {
      return .noReplication(error)
    }
    let answer = try rows(
      "SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_get_activity($1::int))",
      [String(replication.serverProcess)])
    let isHere = try identity?.system == self.identity().system && answer == [["t"]]
    return isHere ? nil : .differentServers
  }
}

extension LibpqConnection {
  /// Asks on a replication connection who the server is, and waits for the answer.
  fileprivate func identifySystem() throws(SourceFailure) -> SystemIdentity? {
    do throws(CatalogError) {
      return SystemIdentity(try run(command: "IDENTIFY_SYSTEM"))
    } catch {
      throw SourceFailure(error, doing: "IDENTIFY_SYSTEM")
    }
  }
}
