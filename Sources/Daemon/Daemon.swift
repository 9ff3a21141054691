import Hummingbird
import ServiceLifecycle

/// The running daemon: one event loop on its own thread, and the HTTP server beside it.
package struct Daemon {
  package init(configuration: Configuration, acceptGap: Bool) {}

  /// Runs until SIGTERM or a halt, and returns the exit status.
  package func run() async throws -> Int32 { 0 }
}
