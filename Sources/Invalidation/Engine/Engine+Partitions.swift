/// Partitions come under their own names, and the rules name the root: the catalogue tells which it is.
extension Engine {
  /// Whether the stream describes a table that only the catalogue can place.
  func mayBePartition(_ relation: Relation) -> Bool {
    !partitioned.isEmpty && !statistics.tables.contains(relation.table)
  }

  mutating func askForRoot(_ relation: Relation) {
    stream.unplaced = relation
    askIfNeeded()
  }

  /// Keeps a message until the table before it is placed. The shell reads nothing more meanwhile, so there are few.
  mutating func hold(_ message: Span<UInt8>) {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(message.count)
    for index in message.indices { bytes.append(message[index]) }
    stream.held.append(bytes)
  }

  mutating func rootArrived(_ root: TableName?) {
    guard case .asking = queries.link else { return }
    queryAnswered()
    guard source.phase == .streaming, let relation = stream.unplaced else { return }
    stream.unplaced = nil
    if root == nil {
      // It was dropped since. All that it held has been committed by now, so one flush covers what is still to come.
      openGap(.tableChanged, rules: rules(of: partitioned))
    }
    bind(relation, as: root ?? relation.table)
    readHeld()
    for target in targets.indices { closeSmallBatch(target) }
    askIfNeeded()
  }

  private mutating func readHeld() {
    let held = stream.held
    stream.held.removeAll()
    for (index, message) in held.enumerated() {
      guard source.phase == .streaming else { return }
      guard stream.unplaced == nil else { return stream.held = Array(held[index...]) }
      read(message.span)
    }
  }
}
