// Sign in with email and password, or with a link in a mail.
import { Credentials } from "@/app/credentials";
import { NoticeBox } from "@/app/notice";
import { noticeOf } from "@/lib/words";

export const metadata = { title: "Sign in · ATS" };

export default async function SignIn({ searchParams }: PageProps<"/sign-in">) {
  const { notice } = await searchParams;
  return (
    <div className="door">
      <h1>Sign in</h1>
      <p className="soft">
        New here? <a href="/sign-up">Create an account</a>
      </p>
      <NoticeBox notice={noticeOf(typeof notice === "string" ? notice : undefined)} />
      <div className="card">
        <Credentials action="/auth/sign-in" submit="Sign in" password="current-password" />
      </div>
      <section aria-labelledby="by-link" className="card">
        <h2 id="by-link">Without a password</h2>
        <form method="post" action="/auth/link">
          <label htmlFor="link-email">Email for the link</label>
          <input id="link-email" name="email" type="email" autoComplete="username" required maxLength={254} />
          <button type="submit" className="quiet">
            Send me a link
          </button>
        </form>
      </section>
    </div>
  );
}
