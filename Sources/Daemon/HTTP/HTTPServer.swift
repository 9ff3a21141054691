import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
package import Logging
import NIOCore
import ServiceLifecycle

/// Serves the pages on threads of its own; the event loop neither waits for a client nor notices one.
package struct HTTPServer: Service {
  private let address: Configuration.HTTP
  private let pages: Pages
  private let logger: Logger
  private let onListening: @Sendable (_ port: Int) -> Void

  /// `onListening` is called once the port, also one that the system chose for port 0, accepts connections.
  package init(
    _ address: Configuration.HTTP, board: StatusBoard, identity: DaemonIdentity, logger: Logger,
    onListening: @escaping @Sendable (_ port: Int) -> Void
  ) {
    self.address = address
    pages = Pages(board: board, identity: identity)
    // Hummingbird reports every start and stop as information; the daemon says it in its own words.
    self.logger = logger.atLeast(.warning)
    self.onListening = onListening
  }

  /// Serves until it is shut down; throws `ListenError` when the address cannot be had.
  package func run() async throws {
    let application = Application(
      responder: pages,
      server: .http1(configuration: HTTPServer.limits),
      configuration: ApplicationConfiguration(
        address: .hostname(address.host, port: address.port), serverName: "cdcd",
        availableConnectionsDelegate: .maximum(HTTPServer.maximumConnections, logger: logger)),
      onServerRunning: { [onListening, address] channel in
        onListening(channel.localAddress?.port ?? address.port)
      },
      logger: logger)
    do {
      try await application.run()
    } catch let error as IOError {
      throw ListenError(address: address, reason: unsafe String(cString: strerror(error.errnoCode)))
    } catch let error as SocketAddressError.UnknownHost {
      throw ListenError(address: address, reason: "unknown host: \(error.errorDescription)")
    }
  }

  /// A connection that sends nothing for a while is closed, also in the middle of a request's head.
  private static let limits = HTTP1Channel.Configuration(
    additionalChannelHandlers: [ConnectionGuard()],
    idleTimeout: .seconds(30),
    httpDecoderConfiguration: .init(
      maxHeaderFieldSize: 8_192, maxHeaderListSize: 16_384, maxHeaderFieldCount: 100))

  /// Clients may use the descriptors that the limit leaves beside those of PostgreSQL, Redis and the log.
  private static var maximumConnections: Int {
    let spare = max(16, Int(clamping: FileLimit.current) - 128)
    return min(spare, StatusBoard.maximumWaiters + 1_000)
  }
}

/// The HTTP address of the configuration cannot be used.
package struct ListenError: Error, CustomStringConvertible {
  package let description: String

  init(address: Configuration.HTTP, reason: String) {
    description =
      "cannot listen on \(address.description): \(reason). "
      + "Set http.listen to a free address of this machine, or stop what uses it."
  }
}

extension Configuration.HTTP: CustomStringConvertible {
  /// `host:port`, an IPv6 address in brackets.
  package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension Logger {
  /// The same logger, for libraries whose events matter less than ours.
  func atLeast(_ level: Logger.Level) -> Logger {
    var logger = self
    logger.logLevel = max(logLevel, level)
    return logger
  }
}
