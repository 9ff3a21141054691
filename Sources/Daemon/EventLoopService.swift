import ServiceLifecycle
import Synchronization

/// Runs the event loop on a thread of its own, for as long as the daemon lives.
final class EventLoopService: Service {
  private let loop: EventLoop
  private let board: StatusBoard
  private let start: AsyncStream<Void>
  private let outcome = Mutex<EventLoop.Outcome?>(nil)
  private let (endings, ending) = AsyncStream.makeStream(of: Void.self)

  /// Nothing is connected before `start` yields: a daemon whose HTTP address is taken touches no server.
  init(_ loop: EventLoop, board: StatusBoard, startAfter start: AsyncStream<Void>) {
    self.loop = loop
    self.board = board
    self.start = start
  }

  /// Returns when the event loop has ended by itself, or has drained after a shutdown.
  func run() async throws {
    defer { ending.finish() }
    try await withTaskCancellationOrGracefulShutdownHandler {
      guard await start.first(where: { true }) != nil else { return }
      let ended = try await loop.runOnOwnThread()
      outcome.withLock { $0 = ended }
      board.close()
    } onCancelOrGracefulShutdown: { [loop] in
      loop.stop()
    }
  }

  /// For one caller.
  func waitUntilEnded() async {
    for await _ in endings {}
  }

  /// 0 after draining, 76 when a gap has halted the daemon; the Engine has reported why.
  var exitStatus: Int32 {
    if case .halted = outcome.withLock({ $0 }) { 76 } else { 0 }
  }
}
