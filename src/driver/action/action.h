/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done about one person, each kind of action in a file of its own. An action sees a struct call,
 * which is one call for one person, and the tools that all calls share; it never sees a person's way through
 * the stages, nor the driver. So it can be tested and previewed without either.
 *
 *  - action.c: the table of the kinds, and the tools of all calls; call.c: what the kinds share
 *  - http.c, sql.c, mail.c, exec.c, manual.c: the kinds, one const struct action each
 *  - judge.c, pure: what the end of a call means
 *  - answer.c, pure: what an answer of HTTP says, by the conditions of the configuration
 *  - finding.c, pure: what the answer to a look means
 *  - parts.c, pure: bodies in parts
 *  - capture.c, poll.c, pure: values of an answer; calls that ask whether something is finished
 *  - position.c, pure: where a stage of several calls stands, for the driver that goes on with it
 *  - process.c: programs beside the calls; odbc.c: talks to databases, in a process of its own
 */
#ifndef LETHE_DRIVER_ACTION_H
#define LETHE_DRIVER_ACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "config/config.h"
#include "driver/services/services.h"
#include "http/http.h"
#include "http/smtp.h"

enum {
    RESPONSE_MAX = 64 * 1024, /* bytes of the record of a stage, so of an answer that is worth keeping */
    CAPTURED_MAX = 1000       /* bytes of a captured value */
};

/* ---- answer.c: what an answer says ---- */

enum answer_form {
    ANSWER_EMPTY,
    ANSWER_JSON,   /* whole, and meant as such */
    ANSWER_TEXT,   /* anything else */
    ANSWER_BROKEN, /* called JSON, and is none */
    ANSWER_PAGE    /* HTML, for people */
};

struct answer {
    unsigned status;
    enum answer_form form;
    const struct json *json; /* NULL: it is none */
    /* Set by the caller: */
    bool is_success;     /* of the call, for conditions of any status of success */
    bool asks_for_later; /* it came with Retry-After */
};

/* What the conditions say of an answer, the strongest last. */
enum answer_says {
    SAID_NOTHING,    /* none of them is about its status */
    SAID_OTHERWISE,  /* it was read, and they do not hold */
    SAID_STRANGE,    /* it is JSON of another form */
    SAID_UNREADABLE, /* it is not JSON; perhaps not even the service's own */
    SAID_BY_STATUS,
    SAID_IN_JSON
};

/* Which answers a status alone may come with. */
enum trust {
    TRUST_OWN,   /* nothing, or whole JSON */
    TRUST_TEXT,  /* with 2xx any text too, but no web page and no broken JSON */
    TRUST_STATUS /* anything */
};

/* What came is read into the arena. */
void answer_read(struct answer *out, struct arena *a, unsigned status, const char *content_type,
                 const char *text, size_t len);
/* Is there something under "errors" or "error"? GraphQL answers 200 and null to what it could not do. */
bool answer_has_errors(const struct json *answer);
/* err: why, up to UNREADABLE; nothing of the answer is in it. */
enum answer_says answer_said(const struct answers *wanted, const struct answer *answer, enum trust trust,
                             struct err *err);

/* ---- judge.c: what the end of a call means ---- */

enum verdict {
    VERDICT_DONE,
    VERDICT_NEXT,             /* well so far: the action goes on with its next call */
    VERDICT_LATER,            /* well so far: the same call again, later_us later */
    VERDICT_NOTHING_TO_ERASE, /* the service never had this person */
    VERDICT_GONE,             /* it does not have this person now, and the same call was sent before */
    VERDICT_AGAIN,            /* worth another attempt */
    VERDICT_FINAL,            /* an operator must look at it */
    VERDICT_NO_TOKEN          /* no access token could be had: the attempt does not count */
};

struct judgement {
    enum verdict verdict;
    bool unknown;   /* the call may have taken effect, or not */
    bool of_person; /* AGAIN: the service works, and only this call has to wait */
};

/* How one call ended. */
struct attempt {
    struct judgement judgement;
    unsigned step;   /* which call of several it was, from 1; 0: there is only one */
    unsigned status; /* of HTTP, or of the command's exit */
    bool has_status;
    bool in_answer;         /* what is wrong is not the status, but what the answer says: see error */
    int64_t retry_after_us; /* -1: not said */
    int64_t later_us;       /* LATER */
    bool no_effect;         /* the service did nothing: it was not reached, refused, or rolled back */
    const char *error;      /* one line without personal data; NULL: none */
    const char *answer;     /* the service's words, any bytes; NULL: none */
    size_t answer_len;
    const char *content_type; /* of HTTP; NULL: not said */
    bool answer_cut;          /* there was more */
};

struct judgement judge_failure(enum http_failure failure); /* there is no whole answer, unless HTTP_OK */
/* A redirect is never success, whatever the configuration says. why: zeroed by the caller; says what is wrong
 * with the answer where that is not its status. */
struct judgement judge_http(const struct http_step_conf *conf, const struct answer *answer, struct err *why);
struct judgement judge_exec(const struct exec_action_conf *conf, int wait_status, bool timed_out);
struct judgement judge_mail(enum smtp_outcome outcome);
/* The failure of a transaction, by its SQLSTATE. dead: the connection was lost. */
struct judgement judge_sql(bool connecting, bool committing, bool dead, const char *state);
struct judgement judge_rc(enum rc rc); /* the call could not even begin */

/* ---- process.c ---- */

/*
 * A program that runs beside the calls: input in a file in memory, what it prints in a buffer.
 *
 * Its hard idea: the program does not outlive its time. It leads a process group of its own, which is killed
 * as a whole at the end, whatever the end was. Two things are out of reach: processes that the program has
 * put into another group or session; and, when the driver itself is killed (SIGKILL, out of memory), the
 * processes that the program has started, since the kernel then ends only the program (PR_SET_PDEATHSIG does
 * not go to grandchildren).
 */
struct process {
    struct processes *all;
    /* It has ended, with this status of waitpid(2). output and timed_out are valid during this. */
    void (*ended)(struct process *p, int wait_status);
    void *arg;
    pid_t pid;
    int pid_fd, output_fd;
    struct buf output; /* of standard output and error together; over: its end was dropped */
    struct timer limit;
    int64_t began_at; /* steady clock */
    bool timed_out;   /* and was killed */
    size_t index;     /* in all->list */
};

struct pollfd;

struct process_conf;
/* How programs are run; a test has a way of its own. */
struct process_runner {
    enum rc (*start)(struct process *p, const struct process_conf *conf, struct err *err);
    void (*cancel)(struct process *p);
};

struct processes {
    struct runtime *runtime;
    const struct process_runner *runner;
    struct process **list; /* that run */
    size_t n, room;
    struct pollfd *fds; /* two for each of them, and one more that is the caller's */
};

struct process_conf {
    const char *program; /* a file */
    const char *const *argv, *const *env;
    const struct buf *input;
    size_t output_max;
    int64_t limit_at; /* steady clock */
};

void processes_open(struct processes *all, struct runtime *runtime);
void processes_close(struct processes *all); /* none runs any more */
/* For the loop: fills fds before the wait and returns how many; looks at them after it. */
unsigned processes_poll(struct processes *all);
void processes_look(struct processes *all, unsigned n_polled);
/* all, ended and arg are set before. */
enum rc process_start(struct process *p, const struct process_conf *conf, struct err *err) MUST_CHECK;
/* Once it has ended: false if there was no program that could be executed. */
bool process_was_executed(const struct process *p, int wait_status);
struct call;
void process_cancel(struct call *call); /* whose work is a process; ended is not called */
/* PATH, LANG and HOME, but those that are in more; then more ("NAME=VALUE"). Ends with NULL. */
const char **process_environment(struct arena *a, const char *const *more, size_t n);

/* ---- the tools of all calls (action.c) ---- */

struct tools {
    struct runtime *runtime;
    struct smtp_client *mailer; /* NULL: no e-mail can be sent */
    struct processes processes;
    struct buf scratch; /* for texts on their way into an arena */
};

/* smtp: how e-mails travel; NULL: none can be sent. */
enum rc tools_open(struct tools *tools, struct runtime *runtime, const struct smtp_transport *smtp,
                   struct err *err) MUST_CHECK;
void tools_close(struct tools *tools);
/* Waits until something has happened or the time is over, and ends the calls that have ended. */
void tools_wait(struct tools *tools, int64_t timeout_us);

/* ---- one call (action.c) ---- */

/* What the calls of an action leave for its later ones. Ready when zeroed. */
struct captures {
    struct arena arena;
    const char **values; /* template_values.more; NULL: the action captures nothing */
};

struct http_work {
    struct http_call request;
    const char **headers;
    size_t n_headers; /* without Authorization */
    int64_t deadline;
    unsigned token_used; /* generation of the token that was sent */
    bool token_renewed;  /* after a 401; once a call */
    struct token_wait wait;
};

/* One call of an action for one person. All but the last member is the caller's, and stays until the call has
 * ended. */
struct call {
    struct tools *tools;
    const struct action_conf *conf;
    size_t number;           /* which call of the action, from 0 */
    unsigned round;          /* from 1: how often the action goes through its calls */
    struct service *service; /* that is called; in whose queue the call has had its turn */

    const struct template_values *person;
    struct captures *captures;
    const char *run_key, *stage; /* the idempotency key is made of them */
    const char *payload;         /* the alert that is sent, a JSON object; NULL: it is about the person */
    bool is_event;               /* a hook is told, and the stage is the name of the event */
    bool is_probe;               /* it only looks: it has no key, as each answer is another one */
    int64_t begun_at;            /* wall clock: when the stage was begun, so when a poll has to end */
    struct arena *arena;         /* of this call and its end */

    void (*done)(struct call *call, const struct attempt *attempt); /* never called from within start */
    void *arg;

    union {
        struct http_work http;
        struct smtp_mail mail;
        struct process process;
    } work; /* of the kind's file */
};

/* What the answer to a look means. */
enum finding_kind { FINDING_CLEAN, FINDING_RESIDUE, FINDING_INCONCLUSIVE };

struct finding {
    enum finding_kind kind;
    int64_t left;    /* RESIDUE: so many records, 1 if they cannot be counted */
    const char *why; /* INCONCLUSIVE: in few words; NULL: the attempt says it */
};

/* What a call would be for a person, without making it. Its texts are in the arena. */
struct preview {
    const char *call; /* "POST https://forum/retire/7", "run /opt/erase, the person on standard input" */
    const char *body; /* NULL: none */
    const struct capture_conf *captures; /* what is kept of the answer */
    size_t n_captures;
    bool missing_is_nothing;      /* if it is not there, there is nothing to erase; else it is an error */
    const struct poll_conf *poll; /* NULL: it is called once */
};

/* One kind of action; what is NULL is explained in place. When adding a kind, also: its row in ACTION_TABLE
 * and its settings in config/, docs/actions.md. */
struct action {
    const char *name;
    const char *no_service; /* what texts call the service of an action that has none; NULL: each has one */
    /* Begins a call. NULL: there is nothing to call, a person does it, and instructions says what. */
    enum rc (*start)(struct call *call, int64_t now, struct err *err);
    void (*cancel)(struct call *call); /* ends it; done is not called */
    enum rc (*instructions)(const struct call *call, const char **out, struct err *err);
    int64_t (*remind_us)(const struct action_conf *conf); /* how often to remind of that person */
    /* The few words by which people fail alike, in place of "502 from forum" and "forum: timed out". Returns
     * NULL where those are right. NULL: they always are. */
    const char *(*cause)(const struct attempt *last, struct arena *a);
    /* attempt: how a look ended that did not fail. NULL: the kind cannot look. */
    struct finding (*finding)(const struct verify_conf *verify, const struct attempt *attempt,
                              struct arena *a);
    const char *(*place)(const struct action_conf *conf); /* where it looks, if it has no service */
    void (*preview)(const struct action_conf *conf, size_t number, const struct template_values *person,
                    struct arena *a, struct preview *out);

    unsigned (*rounds)(const struct action_conf *conf); /* as action_rounds; NULL: 1 */
};

#define X(constant, name) extern const struct action action_##name;
ACTION_TABLE(X)
#undef X

const struct action *action_of(const struct action_conf *conf);
/* A person does it; every so often a line of the log reminds of it. 0: there is a call. */
int64_t action_remind_us(const struct action_conf *conf);
/* The name of the service that the call goes to, or what stands for it: "a command". */
const char *action_called_name(const struct action_conf *conf, size_t number);
/* The few words by which people fail alike: "502 from forum at step 2", "exit status 3". */
const char *action_cause(const struct action_conf *conf, size_t number, const struct attempt *last,
                         struct arena *a);
/* What the answer to a look means. attempt: how the probe ended. What is read of its answer is put into the
 * arena. */
struct finding action_finding(const struct verify_conf *verify, const struct attempt *attempt,
                              struct arena *a);
/* The same, where a look is made: the service or the program. */
const char *action_place(const struct action_conf *conf);
/* person: no captured values, so their places are shown as they were written. */
void action_preview(const struct action_conf *conf, size_t number, const struct template_values *person,
                    struct arena *a, struct preview *out);
/* How often it goes through its calls at most. */
unsigned action_rounds(const struct action_conf *conf);

/* ---- call.c, for the kinds ---- */

/* "KEY-STAGE", which each call of a stage for this person begins its idempotency key with. */
char *call_key(const struct call *call);
/* The text of a template behind some fixed text, in the call's arena. RC_TOO_LARGE: longer than max. */
enum rc call_render(const struct call *call, const char *before, const struct template *t, size_t max,
                    const char **out, struct err *err) MUST_CHECK;

/* A call that succeeded: NEXT, DONE, or FINAL when the last round ended and did not find that all is gone
 * (err: in words). */
enum verdict call_so_far(const struct call *call, unsigned rounds, struct err *err);

/* For a preview: the text of a template, or why it cannot be made. t NULL: NULL. */
const char *call_preview(const struct template *t, const struct template_values *person, struct arena *a);

/* ---- parts.c: bodies in parts ---- */

/* The body, in the arena, and its Content-Type. RC_TOO_LARGE: longer than HTTP_BODY_MAX. */
enum rc parts_write(struct arena *a, const struct body_conf *body, const struct template_values *values,
                    const char **out, const char **content_type, struct err *err) MUST_CHECK;
/* For a preview: the body, or why it cannot be made. */
const char *parts_preview(struct arena *a, const struct body_conf *body,
                          const struct template_values *person);

/* ---- finding.c, for the kinds ---- */

struct finding finding_inconclusive(const char *why);
struct finding finding_counted(int64_t n);
/* A whole number and nothing else; why_not: the words if it is none. */
struct finding finding_number(const struct attempt *attempt, const char *why_not);

/* ---- capture.c ---- */

enum captured {
    CAPTURED_ALL,
    CAPTURED_NOT_THERE, /* at least one value */
    CAPTURED_STRANGE,   /* in another form than it should be */
    CAPTURED_UNREADABLE /* no JSON, or no value in it: perhaps not even the service's own answer */
};

/* Fills in values[step->first_capture] and those behind it, in the arena. Returns the worst that holds for
 * one of them, and err says what that is. */
enum captured capture_values(struct arena *a, const struct http_step_conf *step, const char *answer,
                             size_t len, const char **values, struct err *err);

/* ---- poll.c ---- */

enum poll_word {
    POLL_FINISHED,
    POLL_UNFINISHED,
    POLL_FAILED,
    POLL_STRANGE,
    POLL_NOTHING /* it is no success, and the poll does not ask about such a status */
};

/* err: why, when it is FAILED or STRANGE; without what stood there. */
enum poll_word poll_judge(const struct poll_conf *poll, const struct answer *answer, struct err *err);
/* How long until the next look: as configured, longer if the service wishes (-1: it does not), but there is
 * one at the very end of the time. Returns false when the time is over. Times of the wall clock. */
bool poll_next(const struct poll_conf *poll, int64_t begun_at, int64_t now, int64_t wish_us, int64_t *in_us);

/* ---- position.c ---- */

/* Where a stage stands, and what is behind it. */
struct position {
    size_t call;    /* with which it goes on, from 0 */
    unsigned round; /* from 1 */
    size_t sent; /* the calls of this round up to here, but those that only look, may have been sent before */
    bool elsewhere; /* so may other calls that the stage does not have any more */
    size_t refused; /* the number, from 1, of a call that changes something and that the service refused; 0:
                       none */
};

/* Forgets what was captured, and makes room for what the action captures. */
void captures_reset(struct captures *captures, const struct action_conf *conf);
/* The member "at" of a memo: {"step":1,"round":1,"sent":1,"digests":"0123abcd","captured":{"contact":"..."}}:
 * with what was captured before the call, and the digests of the steps that it speaks of. */
void position_put(struct json_out *o, const struct action_conf *conf, const struct position *at,
                  const char *const *captured);
/* Of a memo, whatever it is (NULL: it is no JSON): a position behind other steps is the start, with
 * elsewhere. */
void position_read(const struct json *memo, const struct action_conf *conf, struct captures *captures,
                   struct position *out);

/* ---- exec.c ---- */

/* The file that would be executed; a name without a slash, if it is not found. */
const char *exec_find_program(struct arena *a, const struct exec_action_conf *exec);

/* ---- sql.c ---- */

/* A connection to a database alone, which is closed again. */
struct sql_opening {
    struct arena *arena; /* is set before */
    bool has_ended;
    const char *error; /* once it has ended: the database's words; NULL: it was open */
    struct process process;
};
enum rc sql_open(struct sql_opening *opening, struct tools *tools, const struct service_conf *service,
                 int64_t timeout_us, struct err *err) MUST_CHECK;

/* ---- odbc.c ---- */

#define ODBC_PROGRAM "lethe-sql" /* argv[0] of the process that talks to databases */

enum {
    ODBC_REQUEST_MAX = 2 * 1024 * 1024,
    ODBC_ANSWER_MAX = 64 * 1024,
    ODBC_WORDS_MAX = 4096, /* bytes */
    ODBC_VALUE_MAX = 1000, /* bytes */
    ODBC_ROWS_MAX = 10000  /* of a query are counted */
};

/* Why the driver manager cannot find what the text for SQLDriverConnect names, in words; NULL: it can. */
const char *odbc_find_fault(struct arena *a, const char *text);

void odbc_do(const char *request, size_t len, struct buf *answer); /* one request; appends the answer */
_Noreturn void odbc_main(void); /* from standard input to standard output; main() calls it */

#endif
