import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import ServiceLifecycle

/// Serves the pages at one address, on threads of its own; the event loop neither waits for a client nor notices one.
struct HTTPServer: Service {
  private let address: ListenAddress
  private let pages: Pages
  private let limits: ConnectionLimits
  private let register: ConnectionRegister
  private let logger: Logger
  private let onListening: @Sendable (ListenAddress) -> Void

  /// `onListening` is called once the address, with the port that the system chose for port 0, accepts connections.
  init(
    at address: ListenAddress, token: AccessToken?, board: StatusBoard, identity: DaemonIdentity,
    feed: EventFeed, limits: ConnectionLimits = ConnectionLimits(), register: ConnectionRegister,
    logger: Logger, onListening: @escaping @Sendable (ListenAddress) -> Void
  ) {
    self.address = address
    pages = Pages(
      board: board, identity: identity, feed: feed, access: AccessControl(to: address, token: token))
    self.limits = limits
    self.register = register
    // Hummingbird reports every start and stop, and what comes of an address that cannot be had; the daemon says it in its
    // own words.
    self.logger = logger.atLeast(.critical)
    self.onListening = onListening
  }

  /// Serves until it is shut down; throws `ListenError` when the address cannot be had.
  func run() async throws {
    if case .unix(let path) = address { try vacate(path) }
    let application = Application(
      responder: pages,
      server: .http1(configuration: channels),
      configuration: ApplicationConfiguration(address: bindAddress, serverName: "cdcd"),
      onServerRunning: { listens(on: $0) },
      logger: logger)
    do {
      try await application.run()
    } catch let error as IOError {
      throw ListenError(address: address, reason: unsafe String(cString: strerror(error.errnoCode)))
    } catch let error as SocketAddressError.UnknownHost {
      throw ListenError(address: address, reason: "unknown host: \(error.errorDescription)")
    }
    if case .unix(let path) = address { SocketFile.remove(path) }
  }

  /// What a cdcd that was killed has left is replaced; what is somebody's is not.
  private func vacate(_ path: String) throws(ListenError) {
    switch SocketFile.occupant(of: path) {
    case .nobody: break
    case .stale: SocketFile.remove(path)
    case .live: throw ListenError(address: address, reason: "another process listens there")
    case .other: throw ListenError(address: address, reason: "there is a file that is no socket")
    }
  }

  private func listens(on channel: any Channel) {
    switch address {
    case .tcp(let host, let port):
      onListening(.tcp(host: host, port: channel.localAddress?.port ?? port))
    case .unix(let path):
      if let problem = SocketFile.admitGroup(to: path) { logger.error("\(problem)") }
      onListening(address)
    }
  }

  private var bindAddress: BindAddress {
    switch address {
    case .tcp(let host, let port): .hostname(host, port: port)
    case .unix(let path): .unixDomainSocket(path: path)
    }
  }

  private var channels: HTTP1Channel.Configuration {
    HTTP1Channel.Configuration(
      additionalChannelHandlers: [ConnectionGuard(limits, register)],
      idleTimeout: TimeAmount(limits.idle),
      httpDecoderConfiguration: .init(
        maxHeaderFieldSize: ConnectionLimits.fieldBytes, maxHeaderListSize: ConnectionLimits.headBytes,
        maxHeaderFieldCount: ConnectionLimits.fields))
  }
}

extension ConnectionRegister {
  /// Clients may use the descriptors that the limit leaves beside those of PostgreSQL, Redis and the log.
  static func ofProcess() -> ConnectionRegister {
    let spare = max(16, Int(clamping: FileLimit.current) - 128)
    return ConnectionRegister(capacity: min(spare, StatusBoard.maximumWaiters + 1_000))
  }
}

/// An HTTP address of the configuration cannot be used.
package struct ListenError: Error, CustomStringConvertible {
  package let description: String

  init(address: ListenAddress, reason: String) {
    let remedy =
      switch address {
      case .tcp: "Set http.listen to a free address of this machine, or stop what uses it."
      case .unix:
        "Set http.listen to a path in a folder that is cdcd's, as unix:/run/cdcd/http.sock, or stop what uses it."
      }
    description = "cannot listen on \(address): \(reason). \(remedy)"
  }
}

extension Logger {
  /// The same logger, for libraries whose events matter less than ours.
  func atLeast(_ level: Logger.Level) -> Logger {
    var logger = self
    logger.logLevel = max(logLevel, level)
    return logger
  }
}
