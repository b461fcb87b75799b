// Counts the decisions by action, in plain Java with Kafka's own client and Jackson: none of ATS's code.
//   java -cp 'kafka-clients.jar:jackson-databind.jar:…' CountDecisions.java localhost:9092
import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.HashSet;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class CountDecisions {
  public static void main(String[] args) throws Exception {
    var seen = new HashSet<String>();
    var actions = new TreeMap<String, Integer>();
    var json = new ObjectMapper();
    Map<String, Object> settings = Map.of("bootstrap.servers", args[0], "enable.auto.commit", false);
    try (var consumer = new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
      var partitions = consumer.partitionsFor("ats.decisions").stream()
          .map(each -> new TopicPartition(each.topic(), each.partition())).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      var ends = consumer.endOffsets(partitions);
      while (partitions.stream().anyMatch(each -> consumer.position(each) < ends.get(each))) {
        for (var record : consumer.poll(Duration.ofMillis(200))) {
          try {
            JsonNode decision = json.readTree(record.value());
            if (decision.hasNonNull("id") && seen.add(decision.get("id").asText())) // a repeat has the same id
              actions.merge(decision.get("action").asText(), 1, Integer::sum);
          } catch (JacksonException unreadable) {
            System.err.println("no message at " + record.offset());
          }
        }
      }
    }
    System.out.println(json.writeValueAsString(actions));
  }
}
