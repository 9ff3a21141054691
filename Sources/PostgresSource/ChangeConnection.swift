/// The connection that brings the changes.
package enum ChangeConnection {
  case replication(ReplicationConnection)
  case outbox(OutboxConnection)

  var session: Session {
    switch self {
    case .replication(let connection): connection.session
    case .outbox(let connection): connection.session
    }
  }

  var identity: SystemIdentity {
    switch self {
    case .replication(let connection): connection.identity
    case .outbox(let connection): connection.identity
    }
  }
}
