import Invalidation
import PostgresSource

extension Shell {
  /// Performs everything the Engine asks for, in order, then writes to Redis what was appended: one write for
  /// many commands.
  func performEffects() {
    repeat { performUnflushed() } while flushRedis()
  }

  /// Performs everything the Engine asks for; Redis commands stay in the output buffers.
  func performUnflushed() {
    while outcome == nil, let effect = engine.nextEffect() { perform(effect) }
  }

  private func perform(_ effect: Effect) {
    switch effect {
    case .connectSource: connectSource()
    case .startReplication(let position): startReplication(at: position)
    case .closeSource: closeSource()
    case .sendFeedback(let feedback): send(feedback)
    case .readOutbox(let read): askOutbox(.read(read))
    case .removeFromOutbox(let removal): askOutbox(.remove(removal))
    case .moveWAL: askOutbox(.moveWAL)
    case .touchOutbox: askOutbox(.touch)
    case .querySnapshot: ask(.snapshot)
    case .queryCurrentTransaction: ask(.currentTransaction)
    case .queryWALEnd: ask(.walEnd)
    case .queryBlocker: ask(.blocker)
    case .queryRetention:
      ask(.retention(slot: sourceConfiguration.mode == .notify ? nil : sourceConfiguration.slot))
    case .queryLineage(let table):
      let source = sourceConfiguration
      ask(.lineage(of: table, publication: source.mode == .pgoutput ? source.publication : nil))
    case .rulesReplaced:
      sourceConfiguration = replacedSource ?? sourceConfiguration
      service.rulesReplaced()
    case .reconnectQuery: renewQuery()
    case .askReplica(let replica): askReplica(replica)
    case .connectRedis(let target): connectRedis(target)
    case .sendRedis(let target, let bytes): sendRedis(target, bytes)
    case .closeRedis(let target): closeRedis(target)
    case .report(let notice): notices.log(notice)
    case .halt(let reason): outcome = .halted(reason)
    case .finished: outcome = .finished
    }
  }

  /// Tells the Engine while its effects are being performed: what it answers is performed next, in order.
  func tell(_ event: Event) { engine.handle(event, now: Clock.now()) }
}
