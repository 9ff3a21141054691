import Glibc
import Invalidation

/// One PostgreSQL connection that never waits: connect, then one statement after the other.
///
/// connecting -> idle <-> asking -> streaming (after START_REPLICATION)
/// any of them -> broken
final class Session {
  enum Progress {
    case pending, connected
    case answered(LibpqConnection.Answer)
    case broken(SourceFailure)
  }

  private enum State {
    case connecting(LibpqConnection.ConnectStep)
    case idle
    /// The rows of all statements that were sent together, until the last one's end; or the first error.
    case asking(LibpqConnection.Answer?)
    case streaming
    case broken
  }

  let connection: LibpqConnection
  /// Known once `settleTransport` has been called.
  private(set) var transport = Transport.network
  private var state = State.connecting(.writing)
  private var hasOutput = false

  init(_ parameters: ConnectionParameters) throws(SourceFailure) {
    connection = try LibpqConnection.startConnecting(parameters)
  }

  /// For a connection that much will be read from, when it is open and before anything is asked.
  func settleTransport() { transport = connection.settleTransport() }

  /// May change after each `advance` while connecting.
  var fileDescriptor: Int32 { connection.fileDescriptor }

  /// For poll(2). An idle session is read as well: that is how a server that goes away is noticed.
  var pollEvents: Int16 {
    switch state {
    case .connecting(let step): step.pollEvents
    case .idle, .asking, .streaming: Int16(POLLIN) | (hasOutput ? Int16(POLLOUT) : 0)
    case .broken: 0
    }
  }

  var isIdle: Bool { if case .idle = state { true } else { false } }

  /// Sends a statement; `advance` brings its answer. Only when idle.
  func ask(_ sql: String, doing action: String) throws(SourceFailure) {
    do throws(CatalogError) {
      hasOutput = try connection.send(sql)
      state = .asking(nil)
    } catch {
      state = .broken
      throw SourceFailure(error, doing: action)
    }
  }

  /// To be called when the socket is ready.
  func advance() -> Progress {
    switch state {
    case .connecting: return advanceConnect()
    case .idle, .asking: return advanceStatement()
    case .streaming, .broken: return .pending
    }
  }

  private func advanceConnect() -> Progress {
    let step = connection.pollConnect()
    switch step {
    case .connected:
      state = .idle
      return .connected
    case .failed(let failure):
      state = .broken
      return .broken(failure)
    case .reading, .writing:
      state = .connecting(step)
      return .pending
    }
  }

  private func advanceStatement() -> Progress {
    do throws(CatalogError) {
      if hasOutput { hasOutput = try connection.flush() }
      let open = connection.consume()
      // Also on a broken connection: the reason may have arrived before the end.
      if case .asking(let answer) = state, let answer = takeResults(answer) { return .answered(answer) }
      if !open { throw connection.brokenConnection() }
      return .pending
    } catch {
      state = .broken
      return .broken(SourceFailure(error, doing: "connection lost"))
    }
  }

  /// Takes the results that are there; the answer at the statement's end.
  private func takeResults(_ earlier: LibpqConnection.Answer?) -> LibpqConnection.Answer? {
    var answer = earlier
    while !connection.isBusy {
      guard let result = connection.nextResult() else {
        state = .idle
        return answer ?? .rows([])
      }
      if result.isCopyBoth {
        state = .streaming
        return .copyBoth
      }
      switch answer {
      case .error?, .copyBoth?: break
      case .rows(let rows)? where !result.isError: answer = .rows(rows + result.rows)
      case .rows?, nil: answer = result.isError ? .error(result.error) : .rows(result.rows)
      }
    }
    state = .asking(answer)
    return nil
  }
}
