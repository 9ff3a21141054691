import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes

/// Stands in every HTTP connection: it closes those that send more than a request needs, take too long over it or do
/// not read their answers, says to whom it can what is wrong, and tells a request that waits when its client has gone away.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
  typealias InboundIn = HTTPRequestPart
  typealias InboundOut = HTTPRequestPart
  typealias OutboundIn = HTTPResponsePart
  typealias OutboundOut = HTTPResponsePart

  private let limits: ConnectionLimits
  private let register: ConnectionRegister
  private var ticket: ConnectionRegister.Ticket?
  private var requestsInProgress = 0
  private var bodyBytes = 0
  private var bodyDeadline: Scheduled<Void>?
  private var unreadDeadline: Scheduled<Void>?
  /// Once the client has been told that the connection ends, nothing of it counts any more.
  private var isRefused = false
  private var clientHasLeft = false
  private var onLeave: (() -> Void)?

  init(_ limits: ConnectionLimits, _ register: ConnectionRegister) {
    self.limits = limits
    self.register = register
  }

  func channelActive(context: ChannelHandlerContext) {
    ticket = register.add(context.channel)
    context.fireChannelActive()
    if ticket == nil {
      refuse(context, .serviceUnavailable, "too many connections are being answered; try again later")
    }
  }

  // MARK: Requests

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard !isRefused else { return }
    switch unwrapInboundIn(data) {
    case .head:
      bodyBytes = 0
      requestsInProgress += 1
      guard requestsInProgress <= limits.pipelined else { return drop(context) }
      if let ticket, requestsInProgress == 1 { register.setIdle(ticket, false) }
      bodyDeadline = closing(context, in: limits.body)
    case .body(let buffer): bodyBytes += buffer.readableBytes
    case .end:
      bodyDeadline?.cancel()
      bodyDeadline = nil
    }
    if bodyBytes > ConnectionLimits.bodyBytes {
      drop(context)
    } else {
      context.fireChannelRead(data)
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    if case .end = unwrapOutboundIn(data) {
      requestsInProgress -= 1
      if let ticket, requestsInProgress == 0 { register.setIdle(ticket, true) }
    }
    context.write(data, promise: promise)
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    unreadDeadline?.cancel()
    unreadDeadline = context.channel.isWritable ? nil : closing(context, in: limits.unread)
    context.fireChannelWritabilityChanged()
  }

  private func closing(_ context: ChannelHandlerContext, in time: Duration) -> Scheduled<Void> {
    context.eventLoop.scheduleTask(in: TimeAmount(time)) { [channel = context.channel] in
      channel.close(promise: nil)
    }
  }

  // MARK: Refusals

  /// Ends the connection with all that waits in it.
  private func drop(_ context: ChannelHandlerContext) {
    isRefused = true
    context.close(promise: nil)
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard !isRefused else { return }
    // An answer that is under way ends with the connection: another in its place would be taken for it.
    guard requestsInProgress == 0, !(error is IOError), !(error is ChannelError) else {
      return context.fireErrorCaught(error)
    }
    if error as? HTTPParserError == .headerOverflow {
      refuse(
        context, .requestHeaderFieldsTooLarge,
        "the head of a request has at most \(ConnectionLimits.fields) fields, "
          + "\(ConnectionLimits.fieldBytes) bytes in one and \(ConnectionLimits.headBytes) in all")
    } else {
      refuse(context, .badRequest, "this is no HTTP/1.1 request: \(error)")
    }
  }

  /// Answers, and closes once the client had time to read it: a close at once, with bytes of the client unread, would
  /// take the answer away from it.
  private func refuse(_ context: ChannelHandlerContext, _ status: HTTPResponse.Status, _ reason: String) {
    isRefused = true
    let body = ByteBuffer(string: reason + "\n")
    let fields: HTTPFields = [
      .contentType: "text/plain; charset=utf-8", .contentLength: "\(body.readableBytes)",
      .connection: "close",
    ]
    context.write(wrapOutboundOut(.head(HTTPResponse(status: status, headerFields: fields))), promise: nil)
    context.write(wrapOutboundOut(.body(body)), promise: nil)
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    context.close(mode: .output, promise: nil)
    _ = closing(context, in: limits.farewell)
  }

  // MARK: Clients that leave

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if event as? ChannelEvent == .inputClosed { leave() }
    context.fireUserInboundEventTriggered(event)
  }

  func channelInactive(context: ChannelHandlerContext) {
    if let ticket { register.remove(ticket) }
    bodyDeadline?.cancel()
    unreadDeadline?.cancel()
    leave()
    context.fireChannelInactive()
  }

  private func leave() {
    clientHasLeft = true
    onLeave?()
    onLeave = nil
  }

  /// Runs the operation in a task that is cancelled when the client closes the connection.
  static func whileConnected<Value: Sendable>(
    _ channel: any Channel, _ operation: @escaping @Sendable () async -> Value
  ) async -> Value {
    let task = Task { await operation() }
    channel.eventLoop.execute {
      do {
        let connection = try channel.pipeline.syncOperations.handler(type: ConnectionGuard.self)
        if connection.clientHasLeft { task.cancel() } else { connection.onLeave = { task.cancel() } }
      } catch {
        // The pipeline of a closed channel is empty.
        task.cancel()
      }
    }
    return await withTaskCancellationHandler {
      await task.value
    } onCancel: {
      task.cancel()
    }
  }
}
