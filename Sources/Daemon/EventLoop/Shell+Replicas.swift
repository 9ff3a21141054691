import Invalidation
import PostgresSource

/// The read replicas' side of the shell. A replica that is away costs the loop nothing: names are resolved beside it, and
/// every step is taken when the socket is ready.
extension Shell {
  /// The connection to one read replica.
  enum Replica {
    case closed
    case resolving(NameResolution)
    case open(ReplicaConnection)
  }

  func askReplica(_ replica: Int) {
    do throws(SourceFailure) {
      switch replicas[replica] {
      case .open(let connection): try connection.ask(now: Clock.monotonic())
      case .closed: connectReplica(replica)
      // It asks when it is connected.
      case .resolving: break
      }
    } catch {
      loseReplica(replica, error.message)
    }
  }

  private func connectReplica(_ replica: Int) {
    do throws(NameResolution.Failure) {
      let address = replicaAddresses[replica]
      guard let resolution = try NameResolution.needed(for: address.host, now: Clock.monotonic()) else {
        return openReplica(replica, address)
      }
      replicas[replica] = .resolving(resolution)
    } catch {
      loseReplica(replica, error.message)
    }
  }

  private func openReplica(_ replica: Int, _ address: ReplicaAddress) {
    do throws(SourceFailure) {
      replicas[replica] = .open(try ReplicaConnection(address, now: Clock.monotonic()))
    } catch {
      loseReplica(replica, error.message)
    }
  }

  /// To be called when the replica's socket, or its name's resolution, is ready.
  func advanceReplica(_ replica: Int) {
    switch replicas[replica] {
    case .closed: return
    case .resolving(let resolution):
      do throws(NameResolution.Failure) {
        guard let address = try resolution.outcome() else { return }
        openReplica(replica, replicaAddresses[replica].resolved(to: address))
      } catch {
        loseReplica(replica, error.message)
      }
    case .open(let connection):
      switch connection.advance() {
      case .pending: return
      case .answered(let facts): tell(.replicaAnswered(replica: replica, facts))
      case .failed(let reason): loseReplica(replica, reason)
      }
    }
    performEffects()
  }

  /// An idle connection that ends is opened again for the next question.
  func loseReplica(_ replica: Int, _ reason: String) {
    replicas[replica] = .closed
    tell(.replicaFailed(replica: replica, reason: reason))
  }

  func replicaDeadline(_ replica: Int) -> Int64? {
    switch replicas[replica] {
    case .closed: nil
    case .resolving(let resolution): resolution.deadline
    case .open(let connection): connection.deadline
    }
  }

  func failOverdueReplica(_ replica: Int) {
    switch replicas[replica] {
    case .closed: return
    case .resolving(let resolution): loseReplica(replica, resolution.timeout.message)
    case .open(let connection): loseReplica(replica, connection.timeout)
    }
    performEffects()
  }
}
