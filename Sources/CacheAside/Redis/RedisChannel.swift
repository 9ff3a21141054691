import NIOCore
import NIOPosix

/// A connection to Redis that is introduced (AUTH, SELECT) and alive (PING).
struct RedisChannel: Sendable {
  private let channel: any Channel
  private let handler: NIOLoopBound<CommandHandler>

  /// To be called on the event loop. Fails with a `RedisClientError`.
  static func connect(
    _ configuration: RedisConfiguration, on eventLoop: any EventLoop
  ) -> EventLoopFuture<RedisChannel> {
    // One for each address of the host: they race, and one wins.
    let timeout = TimeAmount(configuration.commandTimeout)
    let bootstrap = ClientBootstrap(group: eventLoop)
      .connectTimeout(TimeAmount(configuration.connectTimeout))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers(
            ByteToMessageHandler(RESPDecoder()), CommandHandler(timeout: timeout))
        }
      }
    return bootstrap.connect(to: configuration.endpoint)
      .flatMapErrorThrowing { throw RedisClientError.connectFailed(String(describing: $0)) }
      .flatMapThrowing { try RedisChannel($0) }
      .flatMap { $0.introduced(configuration.introduction) }
  }

  private init(_ channel: any Channel) throws {
    self.channel = channel
    handler = NIOLoopBound(
      try channel.pipeline.syncOperations.handler(type: CommandHandler.self), eventLoop: channel.eventLoop)
  }

  private func introduced(_ commands: [[[UInt8]]]) -> EventLoopFuture<RedisChannel> {
    EventLoopFuture.whenAllSucceed(commands.map(send), on: channel.eventLoop)
      .flatMapThrowing { replies in
        // Whatever PING is answered, somebody is there.
        for case .error(let message) in replies.dropLast() { throw RedisClientError.refused(message) }
        return self
      }
      .flatMapErrorThrowing { error in
        close()
        throw error
      }
  }

  /// To be called on the event loop.
  func send(_ command: [[UInt8]]) -> EventLoopFuture<RESPReply> {
    let reply = channel.eventLoop.makePromise(of: RESPReply.self)
    handler.value.send(command, reply: reply)
    return reply.futureResult
  }

  func close() { channel.close(promise: nil) }

  /// Closes, and returns when that is done.
  func closed() async {
    close()
    // It never fails: a channel that cannot be closed is closed.
    try? await channel.closeFuture.get()
  }

  /// Calls `perform` on the event loop, with what ended the connection.
  func whenClosed(_ perform: @escaping @Sendable (RedisClientError) -> Void) {
    channel.closeFuture.whenComplete { _ in perform(handler.value.failure ?? .connectionLost) }
  }
}

extension ClientBootstrap {
  fileprivate func connect(to endpoint: RedisConfiguration.Endpoint) -> EventLoopFuture<any Channel> {
    switch endpoint {
    case .tcp(let host, let port): connect(host: host, port: port)
    case .unix(let path): connect(unixDomainSocketPath: path)
    }
  }
}
