import Invalidation
import PostgresSource

/// The outbox in place of a stream.
extension Shell {
  func startOutbox(_ outbox: OutboxConnection) {
    do throws(SourceFailure) {
      try outbox.ask(.start)
      source = .startingOutbox(outbox, deadline: Clock.monotonic() + Shell.startTime)
    } catch {
      loseSource(error)
    }
  }

  func askOutbox(_ question: OutboxConnection.Question) {
    // The connection may have failed after the Engine asked for this; it has been told.
    guard case .outbox(let outbox) = source else { return }
    do throws(SourceFailure) {
      try outbox.ask(question)
    } catch {
      loseSource(error)
    }
  }

  /// To be called when the socket is ready.
  func advanceOutbox(_ outbox: OutboxConnection) {
    switch outbox.advance() {
    case .pending: break
    case .started(let position):
      source = .outbox(outbox)
      handle(.replicationStarted(confirmedFlush: position))
    case .page(let page): handle(.outboxRead(page))
    case .removed: handle(.outboxRemoved)
    case .walMoved: handle(.walMoved)
    case .touched: handle(.outboxTouched)
    case .failed(let failure): return failSource(failure)
    }
    if outbox.takeNotification() { handle(.outboxNotified) }
  }
}
